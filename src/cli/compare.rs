//! `gauntlet compare`.

mod seeds;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use self::seeds::{Choices, choices};
use super::table::table;
use crate::Result;
use crate::report::compare::gate::{Gate, gate};
use crate::report::compare::{Comparison, Flip, Kind, Pair, Side, compare_all};
use crate::report::exports::quoted;
use crate::report::text::distance;
use crate::store::{self, Store, write_atomic};

/// Options of `compare`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The first run's folder, A: what the second is held against
    #[arg(value_name = "RUN")]
    a: PathBuf,
    /// The second run's folder, B: the new one; may be the first again, with --defence and --with
    #[arg(value_name = "RUN")]
    b: PathBuf,
    /// Compare only this defence of A; one with `seeds` by its name in the suite, with all its seeds, or by NAME#SEED
    #[arg(long, value_name = "NAME")]
    defence: Option<String>,
    /// The defence of B to hold against it; by default the one of the same name. With seeds on both sides, those of one number are paired
    #[arg(long, value_name = "NAME", requires = "defence")]
    with: Option<String>,
    /// Exit with 1 unless the 95 % upper bound of every loss from A to B is below M percentage points, such as 1.0 or 1%
    #[arg(long, value_name = "M", value_parser = margin)]
    gate: Option<f64>,
    /// Name at most N flipped examples a comparison and direction
    #[arg(long, value_name = "N", default_value_t = 10)]
    flips: usize,
    /// Write every flipped example to this CSV file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// Compares two runs example by example. Exit code 1 where the gate refuses B, or a row that is compared failed.
///
/// # Errors
/// As [`compare_all`] does; a file that cannot be written.
pub fn run(arguments: &Arguments) -> Result<u8> {
    arguments.out.as_deref().map_or(Ok(()), store::check_file)?;
    let comparison = compared(arguments)?;
    let gate = arguments.gate.map(|margin| gate(&comparison, margin));
    if let Some(path) = &arguments.out {
        write_atomic(path, as_csv(&comparison).as_bytes())?;
    }
    if arguments.json {
        super::say(&as_json(&comparison, gate.as_ref()))?;
    } else if !arguments.quiet {
        super::say(&as_text(&comparison, gate.as_ref(), arguments.flips))?;
    }
    let failed = comparison.pairs.iter().any(|pair| pair.failed != [0, 0]);
    Ok(u8::from(failed || gate.is_some_and(|gate| !gate.passed)))
}

/// The comparison, of a group of seeds one a seed.
fn compared(arguments: &Arguments) -> Result<Comparison> {
    let (a, b) = (Store::read(&arguments.a)?, Store::read(&arguments.b)?);
    let Choices { paired, alone } = choices(&a, &b, arguments.defence.as_deref(), arguments.with.as_deref())?;
    compare_all(&a, &b, &paired, &alone)
}

/// A margin in percentage points, with or without a sign of per cent, as a share.
fn margin(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
    match number {
        Ok(points) if points > 0.0 && points < 100.0 => Ok(points / 100.0),
        _ => Err("a margin is a number of percentage points above 0 and below 100, such as 1.0 or 1%".into()),
    }
}

/// The comparison, and what the gate says where there is one, as JSON.
pub fn as_json(comparison: &Comparison, gate: Option<&Gate>) -> String {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        comparison: &'a Comparison,
        gate: Option<&'a Gate>,
    }
    serde_json::to_string_pretty(&Whole { comparison, gate }).expect("a comparison is plain JSON")
}

/// Every flipped example, a line each, quoted after RFC 4180.
pub fn as_csv(comparison: &Comparison) -> String {
    let mut text = String::from("comparison,defence_a,defence_b,attack,norm,epsilon,example,label,a,b\r\n");
    for Pair { subject, flips, .. } in &comparison.pairs {
        let kind = match subject.kind {
            Kind::Clean => "clean",
            Kind::Cell => "cell",
            Kind::WorstCase => "worst-case",
        };
        let threat = subject.norm.zip(subject.epsilon);
        let names = [
            kind.to_owned(),
            quoted(&subject.defences[0]),
            quoted(&subject.defences[1]),
            quoted(&subject.attacks.join(" ")),
            threat.map_or(String::new(), |(norm, _)| norm.name().to_owned()),
            threat.map_or(String::new(), |(_, epsilon)| epsilon.to_string()),
        ];
        let names = names.join(",");
        for Flip { example, label, a, b } in flips {
            text += &format!("{names},{example},{label},{},{}\r\n", a.name(), b.name());
        }
    }
    text
}

/// The comparison as tables, with at most `shown` flipped examples a comparison and direction.
pub fn as_text(comparison: &Comparison, gate: Option<&Gate>, shown: usize) -> String {
    let Comparison { a, b, data, notes, pairs, only_a, only_b, .. } = comparison;
    let mut text = format!("A: {}\nB: {}\n", told(a), told(b));
    text += &format!("{} examples of {}; robust accuracy in %, B - A in points\n\n", data.examples, data.name);
    let head = ["defence", "attack", "norm", "epsilon", "A", "B", "both", "only A", "only B", "neither", "B - A", "95 % interval"];
    let mut lines = vec![head.iter().chain(&["p", "Holm p"]).map(|&name| name.to_owned()).collect::<Vec<_>>()];
    lines.extend(pairs.iter().map(line));
    text += &table(&lines, 3);
    text += &format!(
        "\ninterval: Tango's score interval for paired shares; p: McNemar's exact test; Holm p: corrected for {} comparisons\n",
        pairs.len()
    );
    for pair in pairs.iter().filter(|pair| pair.failed != [0, 0]) {
        let [in_a, in_b] = pair.failed;
        text += &format!("FAILED {}: {in_a} examples in A, {in_b} in B; they count as not robust\n", pair.subject);
    }
    for pair in pairs.iter().filter(|pair| !pair.flips.is_empty() && shown > 0) {
        let of = |lost: bool| pair.flips.iter().filter(move |flip| (flip.a.name() == "robust") == lost).map(|flip| flip.example);
        let told =
            [("lost", of(true).collect()), ("gained", of(false).collect())].map(|(verb, ids): (_, Vec<u32>)| listed(verb, &ids, shown));
        text += &format!("flipped, {}: {}\n", pair.subject, told.into_iter().flatten().collect::<Vec<_>>().join("; "));
    }
    for (side, unpaired) in [("A", only_a), ("B", only_b)] {
        text.extend(unpaired.iter().map(|unpaired| format!("only in {side}: {unpaired}\n")));
    }
    text.extend(notes.iter().map(|note| format!("note: {note}\n")));
    if let Some(gate) = gate {
        let margin = distance(100.0 * gate.margin);
        text += &match gate.passed {
            true => format!("\ngate: PASS: every loss is below {margin} points with 95 % confidence\n"),
            false => format!("\ngate: FAIL at {margin} points\n"),
        };
        text.extend(gate.failures.iter().map(|failure| format!("  {failure}\n")));
    }
    text
}

fn told(side: &Side) -> String {
    let state = if side.complete { "" } else { ", INCOMPLETE" };
    format!("{} (\"{}\", seed {}, gauntlet {}{state})", side.run, side.suite, side.seed, side.version)
}

fn line(pair: &Pair) -> Vec<String> {
    let Pair { subject, counts, robust_accuracy: [a, b], difference, ci95: [low, high], .. } = pair;
    // Adding 0 turns -0 into 0.
    let points = |share: f64| format!("{:+.1}", (1000.0 * share).round() / 10.0 + 0.0);
    vec![
        subject.defence(),
        subject.attack().to_owned(),
        subject.norm.map_or("-", |norm| norm.name()).to_owned(),
        subject.epsilon.map_or("-".to_owned(), distance),
        format!("{:.1}", 100.0 * a),
        format!("{:.1}", 100.0 * b),
        counts.both.to_string(),
        counts.only_a.to_string(),
        counts.only_b.to_string(),
        counts.neither.to_string(),
        points(*difference),
        format!("{} to {}", points(*low), points(*high)),
        chance(pair.mcnemar_p),
        chance(pair.holm_p),
    ]
}

fn chance(p: f64) -> String {
    if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

/// `lost 3, 9, 12 and 5 more`; nothing where there are none.
fn listed(verb: &str, ids: &[u32], shown: usize) -> Option<String> {
    let names: Vec<String> = ids.iter().take(shown).map(u32::to_string).collect();
    let more = if ids.len() > shown { format!(" and {} more", ids.len() - shown) } else { String::new() };
    (!ids.is_empty()).then(|| format!("{verb} {}{more}", names.join(", ")))
}
