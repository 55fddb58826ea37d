//! The comparison as a table for programs: a line a recipe, norm and epsilon.

use super::super::exports::quoted;
use super::super::view::View;
use super::{Line, lines};
use crate::evaluate::results::Results;
use crate::evaluate::spread::Spread;
use crate::threat::Norm;

const BEGIN: [&str; 11] = [
    "defence",
    "architecture",
    "training",
    "seeds",
    "adaptive",
    "norm",
    "epsilon",
    "examples",
    "clean_accuracy",
    "clean_low",
    "clean_high",
];
const END: [&str; 14] = [
    "worst_case",
    "worst_case_low",
    "worst_case_high",
    "worst_case_smallest_seed",
    "worst_case_largest_seed",
    "worst_case_deviation",
    "certified",
    "certified_low",
    "certified_high",
    "group",
    "training_seconds",
    "seconds_per_1000_images",
    "flops",
    "memory_bytes",
];

/// A header and the lines, quoted after RFC 4180: for every attack its share with its 95 % interval, and the same of the worst case. What was
/// not measured is an empty field.
pub fn csv(results: &Results) -> String {
    let view = View::new(results);
    let mut attacks: Vec<&str> = Vec::new();
    for &norm in &view.norms {
        for attack in view.attacks(norm) {
            if !attacks.contains(&attack) {
                attacks.push(attack);
            }
        }
    }
    let mut heads: Vec<String> = BEGIN.map(str::to_owned).to_vec();
    heads.extend(attacks.iter().flat_map(|attack| ["", " low", " high"].map(|end| quoted(&format!("{attack}{end}")))));
    heads.extend(END.map(str::to_owned));
    let mut text = format!("{}\r\n", heads.join(","));
    for line in lines(&view) {
        for &norm in &view.norms {
            for epsilon in view.epsilons(norm) {
                text += &format!("{}\r\n", fields(&view, &line, &attacks, norm, epsilon).join(","));
            }
        }
    }
    text
}

fn fields(view: &View, line: &Line, attacks: &[&str], norm: Norm, epsilon: f64) -> Vec<String> {
    let shares = |spread: Option<Spread>| match spread {
        Some(Spread { mean, ci95: [low, high], .. }) => [mean, low, high].map(|share| share.to_string()),
        None => Default::default(),
    };
    let number = |number: Option<f64>| number.map_or(String::new(), |number| number.to_string());
    let mut fields = vec![
        quoted(line.name),
        quoted(line.architecture()),
        quoted(line.training()),
        line.weights.len().to_string(),
        line.is_adaptive().to_string(),
        norm.name().to_owned(),
        epsilon.to_string(),
        view.results.data.examples.to_string(),
    ];
    fields.extend(shares(line.clean(view)));
    fields.extend(attacks.iter().flat_map(|attack| shares(line.under(view, attack, norm, epsilon))));
    let worst = line.worst(view, norm, epsilon);
    fields.extend(shares(worst));
    fields.extend([
        number(worst.map(|worst| worst.low)),
        number(worst.map(|worst| worst.high)),
        number(worst.map(|worst| worst.deviation)),
    ]);
    fields.extend(shares(line.certified(view, norm, epsilon)));
    fields.push(line.group(view, norm, epsilon).map_or(String::new(), |group| quoted(&group.letters)));
    fields.extend([number(line.training_seconds(view)), number(line.inference_seconds(view))]);
    fields.extend([line.flops(), line.memory()].map(|whole| whole.map_or(String::new(), |whole| whole.to_string())));
    fields
}
