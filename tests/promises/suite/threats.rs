//! The radii of a threat.

use super::{EXAMPLE, mistakes, parsed, way_out};

promises! {
    epsilons_are_sorted,
    a_radius_that_stands_twice_is_a_mistake_however_it_is_written,
    a_radius_beyond_the_range_of_a_pixel_is_refused_with_its_ratio,
}

fn with(epsilons: &str) -> String {
    EXAMPLE.replace("[0, 0.02, \"12/255\", 0.1, 0.2]", epsilons)
}

fn epsilons_are_sorted() {
    let suite = parsed(&with("[1, \"51/255\", -0.0, 0.1]"), &[]).expect("a suite");
    assert_eq!(suite.threats[0].epsilons, [0.0, 0.1, 0.2, 1.0]);
    let far = EXAMPLE.replace("\"linf\"", "\"l2\"").replace("0.2]", "7.5]");
    assert_eq!(parsed(&far, &[]).expect("L2 may exceed 1").threats[0].epsilons.last(), Some(&7.5));
}

fn a_radius_that_stands_twice_is_a_mistake_however_it_is_written() {
    let found = mistakes(&parsed(&with("[0, 0.2, \"51/255\", \"8/255\", 0.03137255, -0.0]"), &[]).expect_err("three radii twice"));
    let places: Vec<&str> = found.iter().map(|(_, text, _)| text.as_str()).collect();
    assert_eq!(places, ["\"51/255\"", "0.03137255", "-0.0"], "{found:#?}");
    for part in ["element 5", "0.03137255", "element 4", "\"8/255\""] {
        assert!(found[1].2.contains(part), "{part}: {found:#?}");
    }
    assert!(parsed(&with("[0.1, 0.100002]"), &[]).is_ok());
}

fn a_radius_beyond_the_range_of_a_pixel_is_refused_with_its_ratio() {
    let error = parsed(&with("[0, 8]"), &[]).expect_err("no such radius");
    assert!(way_out(&error).contains("\"8/255\"") && way_out(&error).contains("from 0 to 1"), "{error:?}");
    let error = parsed(&with("[0, 300]"), &[]).expect_err("no such radius");
    assert!(!way_out(&error).contains("300/255"), "{error:?}");
}
