//! Certificates against attacks: what is certain must not have been broken.

use std::collections::HashMap;

use statrs::distribution::{Binomial, DiscreteCDF};

use super::subject::{Certified, Trust};
use super::{Attacked, Found, Subject, Verdict};
use crate::Result;
use crate::evaluate::record;
use crate::report::text::distance;

/// How sure the alarm is of a certificate that may be wrong by chance.
const CONFIDENCE: f64 = 0.99;

/// Examples that were broken within their certified radius, example by example. Certificates that may be wrong with probability alpha
/// each are given as many as the 99 % quantile of Binomial(certified examples, alpha).
pub fn violated(subject: &Subject) -> Result<Found> {
    if subject.certified.is_empty() {
        return Ok(Found::new(Verdict::Skip, "nothing was certified: add a [[certificate]]"));
    }
    let mut worst = Found::new(Verdict::Skip, "");
    let (mut held, mut apart) = (Vec::new(), Vec::new());
    for certified in &subject.certified {
        let Certified { name, norm, trust, .. } = certified;
        let place = format!("{name} under {}", norm.name());
        if *trust == Trust::Another {
            apart.push(format!("{place} speaks of the smoothed network, and the bare one was attacked: add the `smoothing` wrapper"));
            continue;
        }
        let series: Vec<&Attacked> = subject.series.iter().filter(|series| series.key.norm == *norm).collect();
        if series.is_empty() {
            apart.push(format!("{place}: nothing attacked under it"));
            continue;
        }
        let count = certified.certificates.iter().filter(|certificate| certificate.radius.is_some()).count();
        let broken = broken(certified, &series);
        let allowed = match trust {
            Trust::But(alpha) => Binomial::new(*alpha, count as u64).map_or(0, |chance| chance.inverse_cdf(CONFIDENCE)),
            _ => 0,
        };
        if broken.len() as u64 > allowed {
            let (example, attack, at, radius) = &broken[0];
            let may = if allowed > 0 { format!(", where chance explains {allowed}") } else { String::new() };
            let detail = format!(
                "{place}: {} of {count} certified examples are broken within their radius{may}; example {example} by {attack} at {}, \
                 certified to {}. One of the two is wrong: the bound, or the network that was attacked is not the one that was certified",
                broken.len(),
                distance(*at),
                distance(*radius)
            );
            return Ok(Found::new(Verdict::Fail, detail));
        }
        worst.verdict = Verdict::Pass;
        held.push(format!(
            "{place} ({count} examples{})",
            if broken.is_empty() { String::new() } else { format!(", {} by chance", broken.len()) }
        ));
    }
    let held = if held.is_empty() { String::new() } else { format!("no attack contradicts {}", held.join(", ")) };
    worst.detail = [held].into_iter().chain(apart).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
    Ok(worst)
}

/// Examples broken within their radius, once each: id, attack, distance, radius.
fn broken(certified: &Certified, series: &[&Attacked]) -> Vec<(u32, String, f64, f64)> {
    let radii: HashMap<u32, f64> = certified.certificates.iter().filter_map(|found| Some((found.example, found.radius?))).collect();
    let mut found: Vec<(u32, String, f64, f64)> = Vec::new();
    for series in series {
        for outcomes in &series.outcomes {
            let Some(&radius) = radii.get(&outcomes.example) else { continue };
            let breaks = outcomes.outcomes.iter().filter(|outcome| outcome.verdict == record::Verdict::Broken);
            let nearest = breaks.filter_map(|outcome| outcome.distance).map(f64::from).min_by(f64::total_cmp);
            if let Some(at) = nearest.filter(|at| *at <= radius)
                && !found.iter().any(|(example, ..)| *example == outcomes.example)
            {
                found.push((outcomes.example, series.key.attack.clone(), at, radius));
            }
        }
    }
    found
}
