//! A defence that attacks do not know on purpose: what such an evaluation comes to is no failure, and what is wrong with it is one.

use super::*;

promises! {
    weak_attacks_are_expected_of_a_control_and_wrong_numbers_are_not,
}

fn verdict(oracle: Oracle, check: &str) -> checks::Checked {
    let data = relabelled(pictures(), &oracle);
    let case = Case::new(oracle, data).attacked("pgd", "steps = 4", Norm::Linf, &[0.1]);
    checks::run(&case.subject()).unwrap().into_iter().find(|checked| checked.check.check == check).unwrap()
}

fn weak_attacks_are_expected_of_a_control_and_wrong_numbers_are_not() {
    for (oracle, check) in [(wrapped("bit-depth", "bits = 3"), "zero-gradients"), (wrapped("random-resize", ""), "random-output")] {
        let found = verdict(oracle, check);
        assert_eq!((found.check.verdict.as_str(), &found.remedy), ("warn", &None), "{found:?}");
        assert!(found.check.detail.starts_with(checks::EXPECTED) && !found.check.detail.contains(';'), "{found:?}");
    }
    // The same of a defence that attacks are meant to know.
    assert_eq!(verdict(behind(trained(), Deaf), "large-epsilon").check.verdict, "fail");
    assert_eq!(verdict(behind(trained(), Deaf).unknown(), "large-epsilon").check.verdict, "warn");
    // Not knowing the defence makes nothing of this right.
    for (oracle, check) in [
        (behind(trained(), Secretly(AtomicU32::new(0))), "random-output"),
        (behind(trained(), Softmax), "softmax-output"),
        (behind(trained(), Centred), "batch-invariance"),
        (behind(trained(), Root), "non-finite-gradients"),
    ] {
        let found = verdict(oracle.unknown(), check);
        assert_eq!(found.check.verdict, "fail", "{found:?}");
    }
}
