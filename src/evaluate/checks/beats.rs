//! Attacks that must not be better than others, compared example by example.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::assault::{Assault, with};
use super::converged::strongest;
use super::subject::row;
use super::{Attacked, Family, Found, Remedy, Subject, Verdict};
use crate::Result;
use crate::evaluate::paired::{Counts, holm, mcnemar};
use crate::evaluate::record;
use crate::options::{Options, Value};
use crate::report::text::distance;
use crate::threat::Norm;

/// A gap in robust accuracy that is worth a word (AutoAttack's checks.py).
const GAP: f64 = 0.002;

/// Level of the paired tests, over all epsilons of a norm together.
const LEVEL: f64 = 0.05;

/// Queries of the first look where a suite has no score-based attack.
const QUERIES: i64 = 1000;

/// A score-based attack leaves less than the best white-box one, at the same norm and epsilon (AutoAttack's checks.py). Where the suite has
/// none, a short one looks at the probes: what it breaks is held against the gradients, but what it does not break says nothing for them.
pub fn score(subject: &Subject) -> Result<Found> {
    let mut found = Vec::new();
    for norm in subject.norms() {
        let white = subject.of(Family::Gradient, norm);
        let score = subject.of(Family::Score, norm);
        found.push(match (white.is_empty(), score.is_empty()) {
            (false, false) => score_under(norm, &white, &score),
            // An ensemble has searched already.
            (false, true) if !subject.of(Family::Mixed, norm).is_empty() => missing(norm, ""),
            (false, true) => look(subject, norm, &white)?,
            (true, _) => {
                let kinds = "add [[attack]] kind = \"pgd\" or \"apgd\" to compare with";
                Found::new(Verdict::Skip, format!("no attack along gradients alone is under {}: {kinds}", norm.name()))
            }
        });
    }
    let forwards = found.iter().map(|found| found.forwards).sum();
    // What one norm passes is no word on another.
    let weight = |found: &Found| [Verdict::Pass, Verdict::Skip, Verdict::Warn, Verdict::Fail].iter().position(|one| *one == found.verdict);
    let worst = found.into_iter().max_by_key(weight);
    Ok(worst.unwrap_or_else(|| Found::new(Verdict::Skip, "there is no attack")).cost(forwards))
}

fn missing(norm: Norm, looked: &str) -> Found {
    let advice = "add [[attack]] kind = \"square\"";
    let detail = format!("no attack that is score-based alone is under {}{looked}: {advice}", norm.name());
    Found::new(Verdict::Skip, detail).remedy(Remedy::Square)
}

/// A short `square` on the probes that stand against every attack along gradients, where half of the examples do.
fn look(subject: &Subject, norm: Norm, white: &[&Attacked]) -> Result<Found> {
    let strongest = white.iter().min_by_key(|series| series.left_in_all()).expect("there is one");
    let Some(at) = strongest.middle(subject.right()).filter(|_| row("square").norms.contains(&norm)) else { return Ok(missing(norm, "")) };
    let (epsilon, probes) = (strongest.threat.epsilons[at], subject.probes());
    let survivors = standing(subject, white, at, &probes);
    let options = with(&Options::default(), &[("queries", Value::Integer(QUERIES))]);
    let aftermath = Assault { kind: "square", options: &options, norm, epsilon }.run(subject, &survivors)?;
    let broken = survivors.len() - aftermath.standing().len();
    let place = format!("under {} {}", norm.name(), distance(epsilon));
    let count = format!("{QUERIES} queries of `square` break {broken} of {} probes that stand {place}", survivors.len());
    let found = if exceeds(broken, probes.len(), LUCK) {
        let advice = format!("{MASKED}, and add [[attack]] kind = \"square\"");
        Found::too_weak(format!("{count} against every attack along gradients"), &advice).remedy(Remedy::Square)
    } else {
        missing(norm, &format!(" ({count}, too few to tell)"))
    };
    Ok(found.cost(aftermath.forwards()))
}

/// Share of the probes that a short attack may break by luck, or an attack leave for want of a restart.
pub const LUCK: f64 = 0.05;

/// Whether a count is above a share by more than chance: one-sided exact binomial test at 5 %.
pub fn exceeds(count: usize, of: usize, share: f64) -> bool {
    let chance = Binomial::new(share, of as u64).expect("a share is a probability");
    count > 1 && chance.sf(count as u64 - 1) < LEVEL
}

/// The probes that stand against all of some attacks at an epsilon.
pub fn standing(subject: &Subject, attacks: &[&Attacked], epsilon: usize, probes: &[usize]) -> Vec<usize> {
    let stands = |series: &&Attacked, at: usize| {
        let id = subject.data.ids[at];
        let found = series.outcomes.iter().find(|outcomes| outcomes.example == id);
        found.is_some_and(|outcomes| outcomes.outcomes[epsilon].verdict == record::Verdict::Survived)
    };
    probes.iter().copied().filter(|&at| attacks.iter().all(|series| stands(series, at))).collect()
}

const MASKED: &str = "gradients are masked, or followed too weakly, and what white-box attacks leave is no robustness: adapt them to the \
                      defence (BPDA, EOT), give them another loss or more steps, or add `apgd`, `fab` or `autoattack`";

fn score_under(norm: Norm, white: &[&Attacked], score: &[&Attacked]) -> Found {
    let epsilons = &white[0].threat.epsilons;
    let best = |attacks: &[&Attacked], at: usize| -> Vec<bool> {
        attacks.iter().min_by_key(|series| series.left(at)).map_or(Vec::new(), |series| series.standing(at))
    };
    let counts: Vec<Counts> = (0..epsilons.len()).map(|at| Counts::of(best(white, at).into_iter().zip(best(score, at)))).collect();
    let likely = holm(&counts.iter().map(mcnemar).collect::<Vec<_>>());
    let gap = |at: usize| -counts[at].difference();
    let worst = (0..epsilons.len()).max_by(|&a, &b| gap(a).total_cmp(&gap(b))).expect("a threat has an epsilon");
    let words = |at: usize| {
        let [white, score] = counts[at].accuracies();
        format!(
            "under {} {} the best attack along gradients leaves {:.1} %, a score-based one {:.1} % (p = {:.1e})",
            norm.name(),
            distance(epsilons[at]),
            100.0 * white,
            100.0 * score,
            likely[at]
        )
    };
    match (0..epsilons.len()).filter(|&at| gap(at) > GAP && likely[at] < LEVEL).max_by(|&a, &b| gap(a).total_cmp(&gap(b))) {
        Some(at) => Found::too_weak(words(at), MASKED),
        None if gap(worst) > GAP => {
            let advice = "no more than chance may explain, on so few examples; attack more of them";
            Found::new(Verdict::Warn, format!("{}; {advice}", words(worst)))
        }
        None => Found::new(Verdict::Pass, format!("nowhere does a score-based attack leave less; {}", words(worst))),
    }
}

/// From these shares of the examples on, and from two on, one attack beats others too often to be luck.
const OFTEN: f64 = 0.01;

/// Noise breaks what every attack along gradients leaves standing (Carlini et al. 2019, section 5).
pub fn noise(subject: &Subject) -> Result<Found> {
    let advice = "an attack along gradients that a blind one beats is misled: look for masked gradients, and add the attack `square`";
    let missing = "no noise is beside an attack along gradients: add [[attack]] kind = \"noise\"";
    compare(subject, |norm| (subject.of(Family::Noise, norm), subject.of(Family::Gradient, norm)), ["noise", "gradients"], advice, missing)
        .map(|found| if found.verdict == Verdict::Fail { found.remedy(Remedy::Square) } else { found })
}

/// One step breaks what every attack of many steps leaves standing (Carlini et al. 2019, section 5).
pub fn one_step(subject: &Subject) -> Result<Found> {
    let advice = "steps that make an attack weaker go astray: see that its step size fits epsilon, and give it restarts";
    let missing = "no attack of one step is beside one of many: add [[attack]] kind = \"fgsm\", and \"pgd\" or \"apgd\"";
    let sides = |norm| {
        let (many, one) =
            subject.of(Family::Gradient, norm).into_iter().partition::<Vec<_>, _>(|series| series.takes_many_steps(subject.data));
        (one, many)
    };
    let found = compare(subject, sides, ["one step", "many steps"], advice, missing)?;
    let attack = subject.norms().into_iter().find_map(|norm| strongest(subject, norm)).map(|series| series.key.attack.clone());
    Ok(match attack {
        Some(attack) if found.verdict == Verdict::Fail => found.remedy(Remedy::Longer { attack }),
        _ => found,
    })
}

/// What one side breaks and the other does not, where it is most.
struct Beaten<'a> {
    /// Examples that one of the weak breaks and all of the strong leave standing.
    count: usize,
    /// Those of them that every ensemble leaves standing too.
    open: usize,
    norm: Norm,
    epsilon: f64,
    ensembles: Vec<&'a Attacked>,
}

/// Counts the examples that one of the weak breaks and all of the strong leave standing, at the epsilon where they are most. Where an
/// ensemble has searched too and found them, the strong are misled and the worst case is not: a warning.
fn compare<'a>(
    subject: &'a Subject,
    sides: impl Fn(Norm) -> (Vec<&'a Attacked>, Vec<&'a Attacked>),
    [weak, strong]: [&str; 2],
    advice: &str,
    missing: &str,
) -> Result<Found> {
    let mut worst: Option<Beaten> = None;
    for norm in subject.norms() {
        let (weaker, stronger) = sides(norm);
        if weaker.is_empty() || stronger.is_empty() {
            continue;
        }
        let ensembles = subject.of(Family::Mixed, norm);
        for (at, &epsilon) in weaker[0].threat.epsilons.iter().enumerate() {
            let standing = |attacks: &[&Attacked]| attacks.iter().map(|series| series.standing(at)).collect::<Vec<_>>();
            let broken: Vec<Vec<bool>> = weaker.iter().map(|series| series.broken(at)).collect();
            let (left, missed) = (standing(&stronger), standing(&ensembles));
            let all = |of: &[Vec<bool>], example: usize| of.iter().all(|one| one[example]);
            let examples = 0..weaker[0].outcomes.len();
            let beaten: Vec<usize> = examples.filter(|&one| broken.iter().any(|by| by[one]) && all(&left, one)).collect();
            let open = beaten.iter().filter(|&&one| all(&missed, one)).count();
            let count = beaten.len();
            if worst.as_ref().is_none_or(|most| (open, count) > (most.open, most.count)) {
                worst = Some(Beaten { count, open, norm, epsilon, ensembles: ensembles.clone() });
            }
        }
    }
    let Some(Beaten { count, open, norm, epsilon, ensembles }) = worst else { return Ok(Found::new(Verdict::Skip, missing)) };
    if count == 0 {
        return Ok(Found::new(Verdict::Pass, format!("whatever {weak} breaks, {strong} break too")));
    }
    let all = subject.data.len();
    let verdict = if open > 1 && open as f64 > OFTEN * all as f64 { Verdict::Fail } else { Verdict::Warn };
    let place = format!("under {} {}", norm.name(), distance(epsilon));
    let searched = if ensembles.is_empty() { String::new() } else { format!(", {open} of which {} leaves too", names(&ensembles)) };
    let seen = format!("{place} {weak} breaks {count} of {all} examples that {strong} leave standing{searched}");
    Ok(Found { verdict, ..Found::too_weak(seen, advice) })
}

/// Attacks by name, in a sentence.
fn names(attacks: &[&Attacked]) -> String {
    attacks.iter().map(|series| series.key.attack.as_str()).collect::<Vec<_>>().join(" and ")
}
