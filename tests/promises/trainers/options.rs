//! What all trainers take: every option acts, rules between them are told before anything runs, and validation keeps the best weights.

use gauntlet::suite::parse;

use super::*;

promises! {
    every_shared_option_changes_the_weights,
    options_that_disagree_are_told_with_the_way_out,
    validation_keeps_the_best_epoch_and_patience_ends_the_training,
    averaged_weights_get_statistics_of_their_own,
    what_is_trained_on_noise_is_measured_under_it,
    dropout_acts_in_training_alone,
}

fn every_shared_option_changes_the_weights() {
    let data = digits("train").limit(160);
    let after = |text: &str| hash(&trained("standard", &format!("epochs = 2\nbatch = 32\n{text}"), &data).unwrap());
    let sgd = "optimizer = \"sgd\"\n";
    let cases = [
        ("", "optimizer = \"sgd\""),
        ("", "learning_rate = 0.002"),
        ("", "schedule = \"cosine\""),
        ("", "schedule = \"cyclic\""),
        ("", "schedule = \"one-cycle\""),
        ("", "warmup = 0.5"),
        (sgd, "momentum = 0.5"),
        (sgd, "nesterov = true"),
        ("", "weight_decay = 0.01"),
        ("optimizer = \"adamw\"\n", "weight_decay = 0.01"),
        ("", "clip = 0.01"),
        ("", "label_smoothing = 0.1"),
        ("", "augment = \"crop\"\npadding = 1"),
        ("", "augment = \"flip\""),
        ("", "cutout = 3"),
        ("", "mixup = 1.0"),
        ("", "average = \"ema\""),
        ("", "average = \"swa\"\naverage_from = 0.0"),
        ("", "validation = 0.2"),
    ];
    for (with, option) in cases {
        assert_ne!(after(with), after(&format!("{with}{option}")), "{option} does nothing");
    }
    assert_eq!(after("optimizer = \"adamw\""), after(""), "without decay the two are one");
    assert_eq!(after("average = \"ema\"\naverage_decay = 0.0"), after(""), "an average without memory is the last weights");
}

/// The mistakes of a suite with one defence so trained.
fn mistakes(model: &str, train: &str) -> String {
    let text = format!(
        "title = \"t\"\n[data]\nsource = \"digits\"\n[[threat]]\nnorm = \"linf\"\nepsilons = [0.1]\n[[attack]]\nkind = \"fgsm\"\n\
         [[defence]]\nname = \"d\"\nmodel = {model}\ntrain = {train}\n"
    );
    parse("t.toml", &text, "".as_ref(), &[], &catalogue()).map_or_else(|error| format!("{error:?}"), |_| String::new())
}

fn options_that_disagree_are_told_with_the_way_out() {
    let cases = [
        ("{ method = \"standard\", patience = 2 }", "`patience`"),
        ("{ method = \"pgd\", nesterov = true }", "`nesterov`"),
        ("{ method = \"pgd\", step = 0.1, step_relative = 0.2 }", "`step_relative`"),
        ("{ method = \"mart\", mixup = 0.2 }", "`mixup`"),
        ("{ method = \"ibp\", ramp_from = 0.5, ramp_to = 0.2 }", "`ramp_from`"),
        ("{ method = \"multi-norm\", epsilon = 0, epsilon_l2 = 0, epsilon_l1 = 0 }", "all 0"),
        ("{ method = \"mixed\", attacks = [] }", "`attacks`"),
        ("{ method = \"mixed\", attacks = [\"pdg\"] }", "did you mean \"pgd\"?"),
        ("{ method = \"mixed\", attacks = [\"pgd\", \"pgd\"] }", "a second time"),
        ("{ method = \"mixed\", attacks = \"pgd\" }", "a list of"),
    ];
    for (train, part) in cases {
        let found = mistakes("{ architecture = \"mlp\" }", train);
        assert!(found.contains(part), "{train}: {found}");
    }
    assert_eq!(mistakes("{ architecture = \"mlp\" }", "{ method = \"mixed\", attacks = [\"pgd\", \"apgd\"] }"), "");
}

fn validation_keeps_the_best_epoch_and_patience_ends_the_training() {
    let data = digits("train").limit(320);
    let text = |epochs: usize, more: &str| format!("epochs = {epochs}\nlearning_rate = 0.02\nvalidation = 0.3\nsteps = 2\n{more}");
    let stopped = trained("pgd", &text(60, "patience = 2"), &data).unwrap();
    let scores: Vec<f64> = stopped.1.iter().map(|epoch| epoch.validation.unwrap().score()).collect();
    assert!(stopped.1.len() < 60 && stopped.1.last().unwrap().event == Some(Event::NoLongerBetter), "{scores:?}");
    assert!(stopped.1.iter().all(|epoch| epoch.validation.unwrap().robust_accuracy <= Some(epoch.validation.unwrap().clean_accuracy)));
    let best = scores.iter().enumerate().fold(0, |best, (at, score)| if *score > scores[best] { at } else { best }) + 1;
    assert_eq!(stopped.1.len(), best + 2);
    let until_then = trained("pgd", &text(best, ""), &data).unwrap();
    assert_eq!(hash(&until_then), hash(&stopped), "the weights are those of epoch {best}");
}

/// A network whose one hidden layer has batch norm.
const NORMED: &str = "{ layers = [{ kind = \"flatten\" }, { kind = \"dense\", out = 8, name = \"first\" }, { kind = \"batch-norm\", name = \"norm\" }, \
                      { kind = \"relu\" }, { kind = \"dense\", out = 10 }] }";

fn averaged_weights_get_statistics_of_their_own() {
    let data = digits("train").limit(128);
    let text = "epochs = 3\nbatch = 128\nlearning_rate = 0.05\naverage = \"swa\"\naverage_from = 0.0";
    let (classifier, _) = trained_from("standard", text, network(NORMED, 2), &data).unwrap();
    let weights = Weights::of(&classifier.network).0;
    let (weight, bias, mean) = (&weights["first.weight"].1, &weights["first.bias"].1, &weights["norm.running_mean"].1);
    for unit in 0..8 {
        let of = |image: &[f32]| image.iter().zip(&weight[unit * 64..]).map(|(x, w)| f64::from(x * w)).sum::<f64>() + f64::from(bias[unit]);
        let wanted = (0..128).map(|at| of(&data.image(at))).sum::<f64>() / 128.0;
        assert!((f64::from(mean[unit]) - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "unit {unit}: {} is not {wanted}", mean[unit]);
    }
}

fn what_is_trained_on_noise_is_measured_under_it() {
    let data = digits("train").limit(256);
    let sigma = 1.5f32;
    let text = format!("sigma = {sigma}\nepochs = 3\nlearning_rate = 0.05\naverage = \"swa\"\naverage_from = 0.0\nvalidation = 0.25");
    let (classifier, history) = trained_from("gaussian", &text, network(NORMED, 2), &data).unwrap();
    for epoch in history {
        let found = epoch.validation.unwrap();
        assert!(found.score() < found.clean_accuracy && Some(found.score()) == found.robust_accuracy, "{found:?}");
    }
    // Statistics are of what it trains on: noise adds sigma squared times the squared length of a unit's weights to its variance.
    let weights = Weights::of(&classifier.network).0;
    let (weight, variance) = (&weights["first.weight"].1, &weights["norm.running_var"].1);
    for unit in 0..8 {
        let length: f64 = weight[unit * 64..(unit + 1) * 64].iter().map(|weight| f64::from(*weight).powi(2)).sum();
        let noise = f64::from(sigma).powi(2) * length;
        assert!(f64::from(variance[unit]) > 0.8 * noise, "unit {unit}: {} of {noise}", variance[unit]);
    }
}

fn dropout_acts_in_training_alone() {
    let table = |rate: f32| {
        format!(
            "{{ layers = [{{ kind = \"flatten\" }}, {{ kind = \"dense\", out = 32, name = \"a\" }}, {{ kind = \"relu\" }}, \
             {{ kind = \"dropout\", rate = {rate:?} }}, {{ kind = \"dense\", out = 10, name = \"b\" }}] }}"
        )
    };
    let data = digits("train").limit(256);
    let after = |rate: f32| trained_from("standard", "epochs = 4\nlearning_rate = 0.01", network(&table(rate), 1), &data).unwrap();
    let [none, half] = [0.0, 0.5].map(after);
    assert_ne!(hash(&none), hash(&half));
    assert!(half.1[3].loss > none.1[3].loss, "what is dropped is missed: {} {}", half.1[3].loss, none.1[3].loss);
    assert_eq!(hash(&half), hash(&after(0.5)), "and drawn again alike");
    // All alike when it is attacked.
    let oracle = Oracle::new(half.0.clone(), Device::flex());
    let frozen = Oracle::new(half.0.frozen(&Device::flex()).unwrap(), Device::flex());
    let inputs = gauntlet::engine::drive::send(&data, &Device::flex());
    let logits = |oracle: &Oracle| -> Vec<f32> { oracle.logits(inputs.clone(), &Draw::none(data.len())).into_data().try_to_vec().unwrap() };
    assert_eq!(logits(&oracle), logits(&oracle));
    assert!(logits(&oracle).iter().zip(logits(&frozen)).all(|(a, b)| (a - b).abs() < 1e-5));
}
