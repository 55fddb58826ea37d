//! Checks of the values that images have.

use super::*;

promises! {
    data_on_a_grid_or_in_a_corner_are_named,
    changes_below_half_a_level_do_not_outlive_eight_bits,
}

fn data_on_a_grid_or_in_a_corner_are_named() {
    assert_eq!(drawn(1.0, 0.0).found("input-grid").verdict, Verdict::Pass);
    for (scale, levels, word) in [(0.4, 0.0, "[0.0"), (1.0, 16.0, "17 levels"), (1.0, 1.0, "100 % of the values are 0 or 1")] {
        let found = drawn(scale, levels).found("input-grid");
        assert_eq!(found.verdict, Verdict::Warn);
        assert!(found.detail.contains(word), "{found:?}");
    }
    // The detector knows multiples of 1/255 alone, and the digits lie on sixteenths.
    assert_eq!(Case::new(wrapped("grid-detector", ""), digits("test").limit(40)).found("rejections").verdict, Verdict::Warn);
    assert_eq!(Case::new(wrapped("grid-detector", ""), pictures()).found("rejections").verdict, Verdict::Pass);
}

fn changes_below_half_a_level_do_not_outlive_eight_bits() {
    let data = as_pictures(&separable(2, 20, 0.5));
    let oracle = separator(&data, 5.0, &Device::flex());
    let case = |epsilon| Case::new(oracle.clone(), relabelled(data.clone(), &oracle)).attacked("pgd", "steps = 5", Norm::Linf, &[epsilon]);
    let deep = case(0.3).found("eight-bit");
    assert!(deep.verdict < Verdict::Fail && deep.detail.contains("of 20 broken"), "{deep:?}");
    // Images close to the boundary break within less than half a level, and rounding undoes it.
    let mut pixels = data.images();
    let weights = gauntlet::data::synthetic::separator(2, data.shape).unwrap();
    for at in 0..data.len() {
        let image = &mut pixels[at * 64..(at + 1) * 64];
        image.iter_mut().for_each(|value| *value = 0.5);
        let pixel = at;
        let sign = (weights[64 + pixel] - weights[pixel]).signum();
        image[pixel] = 0.5 + sign * 0.004;
    }
    let near = as_pictures(&Dataset::new("near", data.shape, 2, data.ids.clone(), pixels, vec![0; 20]).unwrap());
    let lost = Case::new(oracle.clone(), relabelled(near, &oracle)).attacked("pgd", "steps = 5", Norm::Linf, &[0.0015]).found("eight-bit");
    assert_eq!(lost.verdict, Verdict::Fail, "{lost:?}");
}
