//! Values of options, distances as text, and misspelt names.

use gauntlet::nearest::nearest;
use gauntlet::options::{Accepts, OptionSpec, Value};
use gauntlet::suite::parse_options;
use gauntlet::threat::epsilon;

use super::{entry, option, way_out};

promises! {
    every_kind_of_option_takes_its_values_and_refuses_the_others,
    a_distance_is_a_number_or_a_ratio,
    the_nearest_name_is_near,
}

fn every_kind_of_option_takes_its_values_and_refuses_the_others() {
    const ALL: &[OptionSpec] = &[
        option("whole", Accepts::Integer(-3, 3), None),
        option("real", Accepts::Number(f64::NEG_INFINITY, f64::INFINITY), None),
        option("positive", Accepts::Number(f64::MIN_POSITIVE, f64::INFINITY), None),
        option("radius", Accepts::Distance(0.0, 1.0), Some("\"1/4\"")),
        option("flag", Accepts::Flag, Some("false")),
        option("choice", Accepts::Choice(&["first", "last"]), Some("\"first\"")),
        option("words", Accepts::Text, Some("\"ä\"")),
    ];
    let all = entry("all", ALL);
    let value = |text: &str| parse_options(&all, text);
    let name = |text: &str| text.split(' ').next().map(str::to_string).expect("a name");
    let good = [
        ("whole = -3", Value::Integer(-3)),
        ("whole = 0x3", Value::Integer(3)),
        ("real = 2", Value::Number(2.0)),
        ("real = -1_000.5e3", Value::Number(-1_000_500.0)),
        ("radius = \" 8 / 255 \"", Value::Number(8.0 / 255.0)),
        ("radius = \"0.5\"", Value::Number(0.5)),
        ("radius = 1", Value::Number(1.0)),
        ("radius = -0.0", Value::Number(0.0)),
        ("flag = true", Value::Flag(true)),
        ("choice = 'last'", Value::Text("last".into())),
        ("words = '''x'''", Value::Text("x".into())),
    ];
    for (text, expected) in good {
        assert_eq!(value(text).expect(text).0.get(&name(text)), Some(&expected), "{text}");
    }
    let bad = [
        ("whole = 4", "from -3 to 3"),
        ("whole = 1.0", "a whole number"),
        ("whole = '1'", "a whole number"),
        ("real = inf", "a number"),
        ("real = 1e999", "a number"),
        ("real = '1'", "a number"),
        ("positive = 0", "above 0"),
        ("radius = 1.01", "from 0 to 1"),
        ("radius = '256/255'", "from 0 to 1"),
        ("radius = '1/2/3'", "8/255"),
        ("radius = 'inf'", "8/255"),
        ("flag = 'true'", "without quotes"),
        ("flag = 1", "true or false"),
        ("choice = 'lst'", "did you mean \"last\""),
        ("choice = []", "one of \"first\", \"last\""),
        ("words = 1", "text in double quotes"),
        ("words = 2024-01-01", "text in double quotes"),
        ("rael = 1", "did you mean `real`"),
        ("x = {", "double quotes"),
    ];
    for (text, help) in bad {
        let error = value(text).expect_err(text);
        assert!(way_out(&error).contains(help), "{text}: {error:?}");
    }
    assert_eq!(value("").expect("defaults").canonical(), r#"{"choice":"first","flag":false,"radius":0.25,"words":"ä"}"#);
    assert_eq!(value("whole = 9\nflag = 0\nx = 1").expect_err("three").all().len(), 3);
}

fn a_distance_is_a_number_or_a_ratio() {
    for (text, value) in [("8/255", 8.0 / 255.0), ("0.03", 0.03), (" 1e-1 ", 0.1), ("2.5 / 10", 0.25), ("-0", 0.0)] {
        assert_eq!(epsilon::parse(text).expect(text).to_bits(), f64::to_bits(value), "{text}");
    }
    for text in ["", "/", "8/", "/255", "8/0", "0/0", "nan", "inf", "1/inf", "8\\255", "eight", "1,5"] {
        let error = epsilon::parse(text).expect_err(text);
        assert!(error.message().contains(&format!("{text:?}")), "{error}");
    }
}

fn the_nearest_name_is_near() {
    let known = ["small-cnn", "mlp", "random_start", "epsilons", "pgd", "mi-fgsm", "fgsm"];
    let cases = [
        ("Small_CNN", Some("small-cnn")),
        ("cnn", Some("small-cnn")),
        ("random-start", Some("random_start")),
        ("eps", Some("epsilons")),
        ("pdg", Some("pgd")),
        ("fsgm", Some("fgsm")),
        ("mifgsm", Some("mi-fgsm")),
        ("transformer", None),
        ("", None),
        ("x", None),
    ];
    for (name, expected) in cases {
        assert_eq!(nearest(name, known), expected, "{name}");
    }
}
