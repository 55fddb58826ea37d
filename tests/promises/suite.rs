//! A suite is read as it is meant, or every mistake in it is reported at once, each with its line and a way out.

#[path = "suite/files.rs"]
mod files;
#[path = "suite/mistakes.rs"]
mod mistakes;
#[path = "suite/options.rs"]
mod options;
#[path = "suite/overrides.rs"]
mod overrides;
#[path = "suite/text.rs"]
mod text;
#[path = "suite/threats.rs"]
mod threats;

use std::path::Path;

use gauntlet::options::{Accepts, Entry, OptionSpec, Options};
use gauntlet::suite::{AttackEntry, Catalogue, CertifierEntry, SourceEntry, Suite, WrapperEntry, parse, plan};
use gauntlet::threat::{Norm, Sweep};
use gauntlet::{Error, Result};
use miette::Diagnostic;

promises! {
    [files, mistakes, options, overrides, text, threats]
    the_example_of_the_contract_is_read_as_it_is_meant,
    a_plan_lists_cells_in_the_order_of_the_results_and_what_it_skips,
}

const fn option(name: &'static str, accepts: Accepts, default: Option<&'static str>) -> OptionSpec {
    OptionSpec { name, accepts, default, help: "what it means" }
}

const STEPS: OptionSpec = option("steps", Accepts::Integer(1, 10_000), Some("40"));
const PGD: &[OptionSpec] = &[
    STEPS,
    option("step", Accepts::Distance(f64::MIN_POSITIVE, f64::INFINITY), None),
    option("step_relative", Accepts::Number(0.0, 100.0), None),
    option("random_start", Accepts::Flag, Some("true")),
    option("loss", Accepts::Choice(&["ce", "margin"]), Some("\"ce\"")),
];
const STANDARD: &[OptionSpec] =
    &[option("epochs", Accepts::Integer(1, 1000), Some("10")), option("learning_rate", Accepts::Number(0.0, 1.0), Some("1e-3"))];
const ADVERSARIAL: &[OptionSpec] = &[
    option("epochs", Accepts::Integer(1, 1000), Some("10")),
    option("epsilon", Accepts::Distance(0.0, 1.0), Some("\"8/255\"")),
    option("steps", Accepts::Integer(1, 1000), Some("7")),
];
const PATH: &[OptionSpec] = &[option("path", Accepts::Text, None)];

fn entry(name: &'static str, options: &'static [OptionSpec]) -> Entry {
    Entry { name, summary: "what it does", options }
}

fn one_step(options: &Options) -> Result<(), String> {
    match options.number("step").and(options.number("step_relative")) {
        Some(_) => Err("`step` and `step_relative` cannot both be given".to_string()),
        None => Ok(()),
    }
}

fn catalogue() -> Catalogue {
    const BOTH: &[Norm] = &[Norm::Linf, Norm::L2];
    let attack = |name, options, norms| AttackEntry { entry: entry(name, options), norms, check: None };
    Catalogue {
        sources: vec![
            SourceEntry { entry: entry("digits", &[]), splits: &["train", "test"] },
            SourceEntry { entry: entry("npz", PATH), splits: &[] },
        ],
        models: vec![
            entry("linear", &[]),
            entry("mlp", const { &[option("hidden", Accepts::Integer(1, 4096), Some("128"))] }),
            entry("small-cnn", &[]),
        ],
        trainers: vec![entry("standard", STANDARD), entry("pgd", ADVERSARIAL)],
        wrappers: vec![WrapperEntry {
            entry: entry("bit-depth", const { &[option("bits", Accepts::Integer(1, 16), Some("4"))] }),
            check: None,
        }],
        attacks: vec![
            attack("noise", &[], BOTH),
            attack("fgsm", &[], BOTH),
            AttackEntry { entry: entry("pgd", PGD), norms: BOTH, check: Some(one_step) },
            attack("pixel", &[], &[Norm::L0]),
        ],
        certifiers: vec![
            CertifierEntry { entry: entry("interval", &[]), norms: &[Norm::Linf], check: |_| Ok(()) },
            CertifierEntry {
                entry: Entry { name: "linear", summary: "linear bounds (CROWN, Zhang et al. 2018)", options: &[] },
                norms: &[Norm::Linf],
                check: |_| Ok(()),
            },
        ],
    }
}

/// The example of the design's contract.
const EXAMPLE: &str = r#"title = "Digits, L-infinity: what does adversarial training buy?"
seed  = 0                    # drives attacks; a model's own seed drives its weights

[data]
source   = "digits"
split    = "test"
examples = 360               # the first N; absent: all

[[threat]]                   # repeatable
norm     = "linf"
epsilons = [0, 0.02, "12/255", 0.1, 0.2]
sweep    = "descending"      # or "exhaustive"

[[defence]]
name  = "undefended"
model = { architecture = "small-cnn", seed = 1 }
train = { method = "standard", epochs = 10 }

[[defence]]
name  = "pgd-trained"
model = { architecture = "small-cnn", seed = 1 }
train = { method = "pgd", epsilon = 0.2, steps = 7, epochs = 10 }

[[attack]]
kind = "fgsm"

[[attack]]
kind     = "pgd"
steps    = 40
"#;

fn parsed(text: &str, overrides: &[&str]) -> Result<Suite> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    parse("suite.toml", text, Path::new("."), &overrides, &catalogue())
}

fn way_out(error: &Error) -> String {
    Diagnostic::help(error).unwrap_or_else(|| panic!("no way out: {error}")).to_string()
}

/// Line (from 1), underlined text and message of every mistake.
fn mistakes(error: &Error) -> Vec<(usize, String, String)> {
    let describe = |error: &&Error| {
        way_out(error);
        let label = error.labels().and_then(|mut labels| labels.next()).expect("a place");
        let span = error.source_code().expect("a source").read_span(label.inner(), 0, 0).expect("a span within the text");
        (span.line() + 1, String::from_utf8_lossy(&span.data()[..label.len()]).into_owned(), error.message().to_string())
    };
    error.all().iter().map(describe).collect()
}

fn the_example_of_the_contract_is_read_as_it_is_meant() {
    let suite = parsed(EXAMPLE, &[]).expect("the example");
    assert_eq!(suite.title, "Digits, L-infinity: what does adversarial training buy?");
    assert_eq!((suite.data.source.as_str(), suite.data.split.as_deref(), suite.data.examples), ("digits", Some("test"), Some(360)));
    assert_eq!(suite.train_data, None);
    assert_eq!(suite.threats[0].epsilons, [0.0, 0.02, 12.0 / 255.0, 0.1, 0.2]);
    assert_eq!(suite.threats[0].sweep, Sweep::Descending);
    assert_eq!(suite.defences[1].model.seed, 1);
    let train = suite.defences[1].train.as_ref().expect("training");
    assert_eq!(train.options.canonical(), r#"{"epochs":10,"epsilon":0.2,"steps":7}"#);
    assert_eq!(suite.attacks[0].name, "fgsm");
    // Defaults are filled in; options without one stay absent.
    assert_eq!(suite.attacks[1].options.canonical(), r#"{"loss":"ce","random_start":true,"steps":40}"#);
    assert_eq!(suite.text, EXAMPLE);
    let json = serde_json::to_value(&suite).expect("JSON");
    assert_eq!(json["threats"][0]["norm"], "linf");
    assert!(json.get("text").is_none());
}

fn a_plan_lists_cells_in_the_order_of_the_results_and_what_it_skips() {
    let text = EXAMPLE.replace("[[defence]]\nname  = \"und", "[[threat]]\nnorm = \"l0\"\nepsilons = [2, 1]\n\n[[defence]]\nname  = \"und")
        + "\n[[attack]]\nkind = \"pixel\"\n";
    let suite = parsed(&text, &[]).expect("a suite");
    let plan = plan(&suite, &catalogue(), 360);
    // Two defences; under linf two attacks at five epsilons, under l0 one attack at two.
    assert_eq!((plan.examples, plan.cells.len()), (360, 2 * (2 * 5 + 2)));
    let order: Vec<String> =
        plan.cells.iter().map(|cell| format!("{} {} {} {}", cell.defence, cell.norm.name(), cell.attack, cell.epsilon)).collect();
    assert_eq!(order[0], "undefended linf fgsm 0");
    assert_eq!(order[9..12], ["undefended linf pgd 0.2", "undefended l0 pixel 1", "undefended l0 pixel 2"]);
    assert_eq!(order[12], "pgd-trained linf fgsm 0");
    let skipped: Vec<String> = plan.skipped.iter().map(|skipped| format!("{} {}", skipped.attack, skipped.norm.name())).collect();
    assert_eq!(skipped, ["pixel linf", "fgsm l0", "pgd l0"]);
}
