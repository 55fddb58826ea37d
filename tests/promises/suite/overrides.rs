//! `--set` reaches every part of a suite, and what ran can be run again.

use gauntlet::threat::Sweep;

use super::{EXAMPLE, parsed, way_out};

promises! {
    overrides_reach_every_part_of_a_suite_by_name_or_position,
    overrides_reach_inline_lists_and_dotted_keys,
    an_override_that_leads_nowhere_lists_what_is_there,
    an_override_writes_as_a_person_would,
}

fn overrides_reach_every_part_of_a_suite_by_name_or_position() {
    let suite = parsed(
        EXAMPLE,
        &[
            "seed=3",
            "data.examples = 100",
            "attack.pgd.steps=20",
            "attack.1.step=2/255",
            "attack.0.name=first = \"x\"",
            "threat.0.epsilons=[0,0.1]",
            "threat.linf.sweep=exhaustive",
            "defence.undefended.train.epochs=1",
            "defence.\"pgd-trained\".model={ architecture = \"mlp\", hidden = 8 }",
            "data.train.source=digits",
        ],
    )
    .expect("a suite");
    assert_eq!((suite.seed, suite.data.examples), (3, Some(100)));
    assert_eq!((suite.attacks[1].options.integer("steps"), suite.attacks[1].options.number("step")), (Some(20), Some(2.0 / 255.0)));
    assert_eq!(suite.attacks[0].name, "first = \"x\"");
    assert_eq!((suite.threats[0].epsilons.as_slice(), suite.threats[0].sweep), ([0.0, 0.1].as_slice(), Sweep::Exhaustive));
    assert_eq!(suite.defences[0].train.as_ref().expect("training").options.integer("epochs"), Some(1));
    assert_eq!(suite.defences[1].model.options.integer("hidden"), Some(8));
    assert_eq!(suite.train_data.as_ref().expect("training data").source, "digits");
    // What ran can be run again, and still says why.
    assert_eq!(parsed(&suite.text, &[]).expect("the text as it ran"), suite);
    assert!(suite.text.contains("# drives attacks; a model's own seed drives its weights"), "{}", suite.text);
    // The lines that no override touches stay as they were.
    let kept = EXAMPLE.lines().filter(|line| suite.text.lines().any(|other| other == *line)).count();
    assert!(kept > EXAMPLE.lines().count() * 2 / 3, "{}", suite.text);
}

fn overrides_reach_inline_lists_and_dotted_keys() {
    let text = "title = 'x'\ndata.source = 'digits'\nthreat = [{ norm = 'linf', epsilons = [0.1] }]\n\
                defence = [{ name = 'ä.b', model.architecture = 'linear', train.method = 'standard' }]\nattack = [{ kind = 'fgsm' }]\n";
    let suite =
        parsed(text, &["data.examples=5", "threat.linf.epsilons=[0.2]", "defence.'ä.b'.model.seed=7", "attack.0.name=f"]).expect("a suite");
    assert_eq!((suite.data.examples, suite.threats[0].epsilons[0]), (Some(5), 0.2));
    assert_eq!((suite.defences[0].model.seed, suite.attacks[0].name.as_str()), (7, "f"));
    assert_eq!(parsed(&suite.text, &[]).expect("the text as it ran"), suite);
    // A header without its parent, and a whole table in place of another.
    let implicit = EXAMPLE.replace("[data]", "[data.train]").replace("examples = 360 ", "#");
    let suite = parsed(&implicit, &["data.source=digits", "defence.0.train={method='pgd'}"]).expect("a suite");
    assert_eq!(suite.defences[0].train.as_ref().map(|train| train.method.as_str()), Some("pgd"));
    assert_eq!(parsed(&suite.text, &[]).expect("the text as it ran"), suite);
}

fn an_override_that_leads_nowhere_lists_what_is_there() {
    let cases = [
        ("seed", "no `=`", "key=value"),
        ("=3", "not a dotted path", "key=value"),
        ("a..b=3", "not a dotted path", "key=value"),
        ("atack.pgd.steps=3", "no \"atack\"", "did you mean \"attack\"? the suite has `title`"),
        ("attack.pdg.steps=3", "no element \"pdg\"", "`fgsm`, `pgd`"),
        ("attack.2.steps=3", "position 2", "`fgsm`, `pgd`"),
        ("attack.pgd=3", "`attack` is a list", "`fgsm`, `pgd`"),
        ("seed.x=3", "`seed` is no table", "key=value"),
        ("attack.pgd.stop.x=3", "no \"stop\"", "attack.pgd has `kind`, `steps`"),
    ];
    for (argument, message, help) in cases {
        let error = parsed(EXAMPLE, &[argument]).expect_err(argument);
        let told = way_out(&error);
        assert!(error.message().contains(message) && error.message().contains(argument) && told.contains(help), "{error:?}");
    }
    // An unknown field and a wrong value are the reader's to report, in the text as it would run; all come together.
    let error = parsed(EXAMPLE, &["attack.pgd.stepz=3", "data.examples=some", "atack.x=1"]).expect_err("three");
    assert_eq!(error.all().len(), 3, "{error:?}");
}

fn an_override_writes_as_a_person_would() {
    let untitled = EXAMPLE.split_once('\n').expect("lines").1.replacen("seed  = 0 ", "", 1);
    let text = parsed(&untitled, &["title=a", "defence.0.train.learning_rate=0.5", "attack.fgsm.name=f"]).expect("a suite").text;
    for line in [
        "title = \"a\"",
        "train = { method = \"standard\", epochs = 10, learning_rate = 0.5 }",
        "kind = \"fgsm\"\nname = \"f\"\n\n[[attack]]",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
