//! Every mistake has its line, its message and a way out.

use super::{EXAMPLE, mistakes, parsed, way_out};

promises! {
    a_dozen_mistakes_are_reported_at_once_with_their_lines,
    a_report_names_file_line_and_column_and_the_nearest_name,
    each_rule_of_the_contract_has_its_message,
    a_mistake_brings_no_false_one_with_it,
    what_a_paper_calls_it_leads_to_its_name,
    an_empty_file_says_what_a_suite_needs,
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

fn a_mistake_brings_no_false_one_with_it() {
    let seeds = "seeds = [1, 2]\nmodel = { architecture = \"small-cnn\" }\ntrain = { method = \"nothing\" }";
    let found = only_mistake("model = { architecture = \"small-cnn\", seed = 1 }\ntrain = { method = \"standard\", epochs = 10 }", seeds);
    assert!(found.0 == "\"nothing\"" && found.1.contains("unknown training method"), "{found:#?}");
}

fn what_a_paper_calls_it_leads_to_its_name() {
    let certificate = |kind: &str| {
        let error = parsed(&format!("{EXAMPLE}\n[[certificate]]\nkind = {kind:?}\n"), &[]).expect_err(kind);
        way_out(&error)
    };
    assert!(certificate("intervall").contains("did you mean \"interval\"?"));
    assert!(certificate("croown").contains("did you mean \"linear\" (CROWN)?"), "{}", certificate("croown"));
    assert!(!certificate("zzz").contains("did you mean"));
}

fn an_empty_file_says_what_a_suite_needs() {
    let found = mistakes(&parsed("", &[]).expect_err("nothing there"));
    let messages: Vec<&str> = found.iter().map(|(_, _, message)| message.as_str()).collect();
    assert_eq!(messages.len(), 5, "{messages:#?}");
    for (message, name) in messages.iter().zip(["title", "data", "threat", "defence", "attack"]) {
        assert!(message.contains(&format!("`{name}`")), "{messages:#?}");
    }
}
