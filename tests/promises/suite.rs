//! A suite is read as it is meant, or every mistake in it is reported at once, each with its line and a way out.

#[path = "suite/options.rs"]
mod options;
#[path = "suite/overrides.rs"]
mod overrides;

use std::path::Path;

use gauntlet::options::{Accepts, Entry, OptionSpec, Options};
use gauntlet::suite::{AttackEntry, Catalogue, CertifierEntry, SourceEntry, Suite, WrapperEntry, parse, plan, read};
use gauntlet::threat::{Norm, Sweep};
use gauntlet::{Error, Result};
use miette::Diagnostic;

promises! {
    [options, overrides]
    the_example_of_the_contract_is_read_as_it_is_meant,
    a_dozen_mistakes_are_reported_at_once_with_their_lines,
    a_report_names_file_line_and_column_and_the_nearest_name,
    each_rule_of_the_contract_has_its_message,
    epsilons_are_sorted_and_each_is_kept_once,
    an_empty_file_says_what_a_suite_needs,
    line_ends_and_unicode_do_not_shift_places,
    no_text_makes_the_reader_panic,
    files_that_a_suite_names_must_exist,
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
        certifiers: vec![CertifierEntry { entry: entry("interval", &[]), norms: &[Norm::Linf], check: |_| Ok(()) }],
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

/// The only mistake of the example with `from` replaced by `to`: its underlined text, message and help.
#[track_caller]
fn only_mistake(from: &str, to: &str) -> (String, String, String) {
    assert!(EXAMPLE.contains(from), "{from}");
    let error = parsed(&EXAMPLE.replacen(from, to, 1), &[]).expect_err("a mistake");
    let found = mistakes(&error);
    assert_eq!(found.len(), 1, "{found:#?}");
    (found[0].1.clone(), found[0].2.clone(), way_out(&error))
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

fn a_dozen_mistakes_are_reported_at_once_with_their_lines() {
    let text = r#"titel = "x"
seed = -1

[data]
source = "digit"
examples = 0

[[threat]]
norm = "linf"
epsilons = [0, 1.5, "8/0", true]
sweep = "upward"

[[threat]]
norm = "linf"
epsilons = []

[[defence]]
name = "a"
model = { architecture = "small-cnn" }

[[defence]]
name = "a"
model = { architecture = "mlp", hidden = 0.5, weights = "nowhere.safetensors" }
stack = [{ kind = "bit-depth", bits = 0 }]

[[attack]]
kind = "pgd"
steps = "many"
step = 0
step_relativ = 2

[[attack]]
kind = "pgd"
step = 0.1
step_relative = 0.2

[[attack]]
kind = "pixel"

[[attack]]
kind = "pdg"
"#;
    let error = parsed(text, &[]).expect_err("mistakes");
    assert_eq!(error.exit_code(), 2);
    let found = mistakes(&error);
    let places: Vec<(usize, &str)> = found.iter().map(|(line, text, _)| (*line, text.as_str())).collect();
    let expected = [
        (1, ""),
        (1, "titel"),
        (2, "-1"),
        (5, "\"digit\""),
        (6, "0"),
        (10, "1.5"),
        (10, "\"8/0\""),
        (10, "true"),
        (11, "\"upward\""),
        (14, "\"linf\""),
        (15, "[]"),
        (17, "[[defence]]"),
        (22, "\"a\""),
        (23, "0.5"),
        (23, "\"nowhere.safetensors\""),
        (24, "0"),
        (28, "\"many\""),
        (29, "0"),
        (30, "step_relativ"),
        (32, "[[attack]]"),
        (32, "[[attack]]"),
        (37, "[[attack]]"),
        (41, "\"pdg\""),
    ];
    assert_eq!(places, expected, "{found:#?}");
    let all: String = found.iter().map(|(_, _, message)| format!("{message}\n")).collect();
    assert!(all.contains("cannot both be given") && all.contains("none of the suite's norms"), "{all}");
}

fn a_report_names_file_line_and_column_and_the_nearest_name() {
    let text = EXAMPLE.replace("steps    = 40", "stepz    = 40").replace("\"fgsm\"", "\"fgms\"");
    let error = parsed(&text, &[]).expect_err("mistakes");
    let mut shown = String::new();
    let theme = miette::GraphicalTheme::unicode_nocolor();
    miette::GraphicalReportHandler::new_themed(theme).with_width(100).render_report(&mut shown, &error).expect("a report");
    println!("{shown}");
    for part in ["suite.toml:25:8", "suite.toml:29:1", "did you mean \"fgsm\"?", "did you mean `steps`?", "2 mistakes"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
}

fn each_rule_of_the_contract_has_its_message() {
    let cases = [
        ("title = \"Digits, L-infinity: what does adversarial training buy?\"", "title = \" \"", "\" \"", "empty", "in a line"),
        ("seed  = 0", "seed = 0.5", "0.5", "the number 0.5", "whole number, 0 or more"),
        ("split    = \"test\"", "split = \"tests\"", "\"tests\"", "unknown split", "did you mean \"test\""),
        ("split    = \"test\"", "path = \"x\"", "path", "unknown field `path`", "takes"),
        ("examples = 360", "examples = \"all\"", "\"all\"", "the text \"all\"", "1 or more"),
        ("norm     = \"linf\"", "norm = \"l3\"", "\"l3\"", "unknown norm", "did you mean"),
        ("norm     = \"linf\"", "", "[[threat]]", "no `norm`", "\"linf\", \"l2\""),
        ("epsilons = [0, 0.02, \"12/255\", 0.1, 0.2]", "epsilons = 0.1", "0.1", "the number 0.1", "a list"),
        ("0.02", "-0.02", "-0.02", "element 2", "from 0 to 1"),
        ("0.02", "nan", "nan", "element 2", "from 0 to 1"),
        ("0.02", "\"8/255px\"", "\"8/255px\"", "element 2", "8/255"),
        ("[[threat]]", "[threat]", "[threat]", "not a list", "[[threat]]"),
        ("architecture = \"small-cnn\"", "architecture = \"cnn\"", "\"cnn\"", "unknown architecture", "did you mean \"small-cnn\""),
        ("architecture = \"small-cnn\"", "onnx = \"x.onnx\"", "\"x.onnx\"", "there is no file", "the suite's folder"),
        ("architecture = \"small-cnn\", seed = 1", "seed = 1", "{ seed = 1 }", "no `architecture`", "\"linear\""),
        ("model = { architecture = \"small-cnn\", seed = 1 }", "model = \"small-cnn\"", "\"small-cnn\"", "the text", "a table"),
        ("model = { architecture = \"small-cnn\", seed = 1 }", "", "[[defence]]", "no `model`", "add model"),
        ("train = { method = \"standard\", epochs = 10 }", "", "[[defence]]", "untrained model", "add train"),
        ("train = { method = \"standard\", epochs = 10 }", "train = {}", "{}", "no `method`", "\"standard\", \"pgd\""),
        ("method = \"standard\"", "method = \"normal\"", "\"normal\"", "unknown training method", "name one of"),
        ("epochs = 10", "epochs = 0", "0", "the whole number 0", "from 1 to 1000"),
        ("epochs = 10", "epochs = 99999999999999999999", "99999999999999999999", "whole number 9999", "from 1 to 1000"),
        ("name  = \"pgd-trained\"", "name = \"undefended\"", "\"undefended\"", "a second defence", "of its own"),
        ("name  = \"pgd-trained\"", "stack = [{ kind = \"bit-dept\" }]\nname = \"p\"", "\"bit-dept\"", "unknown wrapper", "did you mean"),
        ("kind = \"fgsm\"", "kind = \"pgd\"", "[[attack]]", "a second attack", "name = \"pgd-2\""),
        ("steps    = 40", "name = 3", "3", "the whole number 3", "text"),
        ("kind = \"fgsm\"", "", "[[attack]]", "no `kind`", "\"noise\""),
        ("kind = \"fgsm\"", "kind = \"pixel\"", "[[attack]]", "none of the suite's norms", "\"l0\""),
        ("title =", "title ==", "=", "not valid TOML", "nothing else was checked"),
    ];
    for (from, to, underlined, message, help) in cases {
        let found = only_mistake(from, to);
        assert!(found.0 == underlined && found.1.contains(message) && found.2.contains(help), "{to:?} gives {found:#?}");
    }
}

fn epsilons_are_sorted_and_each_is_kept_once() {
    let suite = parsed(&EXAMPLE.replace("[0, 0.02, \"12/255\", 0.1, 0.2]", "[1, 0.2, \"51/255\", -0.0, 0, 0.2]"), &[]).expect("a suite");
    assert_eq!(suite.threats[0].epsilons, [0.0, 0.2, 1.0]);
    let far = EXAMPLE.replace("\"linf\"", "\"l2\"").replace("0.2]", "7.5]");
    assert_eq!(parsed(&far, &[]).expect("L2 may exceed 1").threats[0].epsilons.last(), Some(&7.5));
}

fn an_empty_file_says_what_a_suite_needs() {
    let found = mistakes(&parsed("", &[]).expect_err("nothing there"));
    let messages: Vec<&str> = found.iter().map(|(_, _, message)| message.as_str()).collect();
    assert_eq!(messages.len(), 5, "{messages:#?}");
    for (message, name) in messages.iter().zip(["title", "data", "threat", "defence", "attack"]) {
        assert!(message.contains(&format!("`{name}`")), "{messages:#?}");
    }
}

fn line_ends_and_unicode_do_not_shift_places() {
    let windows = EXAMPLE.replace('\n', "\r\n");
    assert_eq!(parsed(&windows, &[]).expect("CRLF").attacks, parsed(EXAMPLE, &[]).expect("LF").attacks);
    let set = parsed(&windows, &["seed=3"]).expect("CRLF with an override");
    assert_eq!(parsed(&set.text, &[]).expect("the text as it ran"), set);
    let found = mistakes(&parsed(&windows.replace("= 40", "= '\u{1f980}'"), &[]).expect_err("a mistake"));
    assert_eq!((found[0].0, found[0].1.as_str()), (29, "'\u{1f980}'"));
    let named = EXAMPLE.replace("undefended", "schutzlos ☂ 無").replace("title = \"", "title = \"\u{1f980} ");
    assert_eq!(parsed(&named, &["defence.schutzlos ☂ 無.model.seed=2"]).expect("unicode").defences[0].model.seed, 2);
    let unknown = mistakes(&parsed(&named.replace("epochs = 10", "\"ерochs\" = 10"), &[]).expect_err("mistakes"));
    assert_eq!((unknown.len(), unknown[0].1.as_str()), (2, "\"ерochs\""));
}

fn no_text_makes_the_reader_panic() {
    let text = EXAMPLE.replace("buy?", "b\u{fc}y \u{1f980}?").replace("[data]", "[data]\r");
    let mut good = 0;
    for (end, _) in text.char_indices() {
        for overrides in [&[][..], &["seed=1", "attack.pgd.steps=3"][..]] {
            match parsed(&text[..end], overrides) {
                Ok(suite) => {
                    good += 1;
                    assert_eq!(parsed(&suite.text, &[]).expect("what ran can run again"), suite);
                }
                Err(error) => assert!(error.exit_code() == 2 && !format!("{:?}", miette::Report::new(error)).is_empty()),
            }
            // A letter left out shifts everything behind it.
            let rest: String = text[..end].chars().chain(text[end..].chars().skip(1)).collect();
            let _ = parsed(&rest, overrides).map_err(|error| format!("{:?}", miette::Report::new(error)));
        }
    }
    assert!(good > 0, "the loop never met a whole suite");
}

fn files_that_a_suite_names_must_exist() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("a file");
    write("w.safetensors", b"");
    write("x.npz", b"");
    let text = EXAMPLE
        .replace(
            "source   = \"digits\"",
            "source = \"npz\"\npath = \"x.npz\"\ntrain = { source = \"npz\", path = \"x.npz\", split = \"4..9\" }",
        )
        .replace("\"test\"", "\" 0 .. 4\"")
        .replacen("train = { method = \"standard\", epochs = 10 }", "", 1)
        .replacen("seed = 1 }", "weights = \"w.safetensors\" }", 1);
    write("good.toml", text.as_bytes());
    let at = |name: &str| read(&folder.path().join(name), &[], &catalogue());
    let suite = at("good.toml").expect("a suite");
    assert_eq!((suite.data.split.as_deref(), suite.data.options.text("path")), (Some("0..4"), Some("x.npz")));
    assert_eq!((suite.defences[0].train.is_none(), suite.base.as_path()), (true, folder.path()));
    for (range, read) in [("all", "all"), ("5..", "5.."), ("..5", "0..5")] {
        let elsewhere =
            text.replacen("train = { source = \"npz\", path = \"x.npz\", split = \"4..9\" }", "train = { source = \"digits\" }", 1);
        write("range.toml", elsewhere.replacen("\" 0 .. 4\"", &format!("{range:?}"), 1).as_bytes());
        assert_eq!(at("range.toml").expect(range).data.split.as_deref(), Some(read));
    }
    let count = |from: &str, to: &str, message: &str| {
        write("bad.toml", text.replacen(from, to, 1).as_bytes());
        let error = at("bad.toml").expect_err(to);
        assert!(error.all().len() == 1 && error.message().contains(message), "{error:?}");
    };
    count("\"x.npz\"", "\"y.npz\"", "`path` of [data] does not exist");
    count("path = \"x.npz\"", "", "[data] has no `path`");
    count("path = \"x.npz\"", "path = 3", "the whole number 3");
    count("\" 0 .. 4\"", "\"test\"", "the text \"test\"");
    count("\" 0 .. 4\"", "\"4..4\"", "the text \"4..4\"");
    count("\"4..9\"", "\"2..9\"", "[data] and [data.train] share the examples 2..4 of the same npz");
    count("\" 0 .. 4\"", "\"5..\"", "share the examples 5..9");
    count("\"w.safetensors\"", "\"v.safetensors\"", "weights` of the model of defence `undefended`: there is no file");
    count("train = { source = \"npz\", path = \"x.npz\", split = \"4..9\" }", "", "has no split \"train\"");
    write("latin.toml", b"title = 'a'\nseed = 1 # \xe9\n");
    assert!(at("latin.toml").expect_err("not UTF-8").message().contains("line 2"));
    let absent = at("absent.toml").expect_err("no file");
    assert!(absent.message().contains("absent.toml") && !way_out(&absent).is_empty(), "{absent:?}");
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
