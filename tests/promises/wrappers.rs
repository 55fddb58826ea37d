//! Wrappers and ensembles: transforms are what others' libraries compute, gradients are what they say they are, draws are keyed by the
//! row, and decisions and attacks agree on what counts.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::defence::{Backward, WRAPPERS, Wrapper, naive};
use gauntlet::engine::draw::{Draw, DrawRow};
use gauntlet::kernel::random::{philox, unit};
use gauntlet::suite::parse_options;

#[path = "wrappers/adaptive.rs"]
mod adaptive;
#[path = "wrappers/ensembles.rs"]
mod ensembles;
#[path = "wrappers/on_runs.rs"]
mod on_runs;

promises! {
    [adaptive, ensembles, on_runs]
    jpeg_is_what_pillow_stores,
    medians_blurs_and_variation_are_what_scipy_and_scikit_image_compute,
    exact_gradients_are_those_of_finite_differences,
    gradients_through_total_variation_are_those_of_finite_differences_where_it_has_converged,
    what_has_no_gradient_has_a_stand_in_and_none_where_attacks_do_not_know_it,
    draws_depend_on_the_row_and_on_nothing_else,
}

fn device() -> Device {
    Device::flex()
}

fn tensor(values: &[f32], columns: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / columns, columns]), &device())
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn wrapper(kind: &str, options: &str) -> Box<dyn Wrapper> {
    let row = WRAPPERS.iter().find(|row| row.entry.name == kind).unwrap();
    let options = parse_options(&row.entry, options).unwrap();
    (row.check)(&options).unwrap();
    (row.build)(&options)
}

fn stack(wrappers: Vec<Box<dyn Wrapper>>) -> Arc<[Box<dyn Wrapper>]> {
    wrappers.into()
}

/// Numbers in [0, 1).
fn random(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32).map(|at| unit(philox([at, seed, 0, 0], [3, 4])[0])).collect()
}

const PILLOW: &str = include_str!("../fixtures/jpeg/pillow.txt");
const JPEG_SIDES: [usize; 2] = [21, 27];

/// The picture of tests/fixtures/jpeg/make.py, channel by channel.
fn picture(channels: usize) -> Vec<f32> {
    let [height, width] = JPEG_SIDES;
    let value = |at: usize| {
        let (c, y, x) = (at / (height * width), at / width % height, at % width);
        ((9 * x + 5 * y + 60 * c + (31 * x * y + 17 * c) % 40) % 256) as f32 / 255.0
    };
    (0..channels * height * width).map(value).collect()
}

fn jpeg_is_what_pillow_stores() {
    let [height, width] = JPEG_SIDES;
    for line in PILLOW.lines() {
        let mut words = line.split(' ');
        let (kind, quality, hex) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let channels = if kind == "grey" { 1 } else { 3 };
        let options = format!("quality = {quality}\n{}", if channels == 3 { format!("subsampling = \"{kind}\"") } else { String::new() });
        let got = wrapper("jpeg", &options).inputs(
            tensor(&picture(channels), channels * height * width),
            [channels, height, width],
            &Draw::none(1),
        );
        let got = values(got);
        let byte = |at: usize| f32::from(u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap());
        // Pillow's pixels hold their channels side by side.
        let want = (0..channels * height * width).map(|at| byte(at % (height * width) * channels + at / (height * width)));
        let off: Vec<f32> = got.iter().zip(want).map(|(got, want)| (got * 255.0 - want).abs()).collect();
        let same = off.iter().filter(|off| **off < 0.5).count() as f64 / off.len() as f64;
        let near = off.iter().filter(|off| **off < 1.5).count() as f64 / off.len() as f64;
        println!("{kind} {quality}: equal {same:.4}, within 1/255 {near:.4}");
        assert!(near >= 0.99 && same >= if channels == 1 { 1.0 } else { 0.95 }, "{kind} {quality}: equal {same}, within 1/255 {near}");
    }
}

/// A picture of 5 x 6.
fn small() -> Vec<f32> {
    (0..30).map(|at| ((at * 7919 + 13) % 101) as f32 / 100.0).collect()
}

/// `scipy.ndimage.median_filter(x, size, mode="reflect")` and `scipy.ndimage.gaussian_filter(x, sigma)` of scipy 1.17.1, and
/// `skimage.restoration.denoise_tv_chambolle(x, weight=0.1, eps=1e-14, max_num_iter=200000)`.
const FILTERED: [(&str, &str, f32, [f32; 30]); 4] = [
    (
        "median",
        "window = 3",
        1e-6,
        [
            0.54, 0.54, 0.54, 0.76, 0.35, 0.19, 0.41, 0.54, 0.54, 0.63, 0.35, 0.19, 0.44, 0.44, 0.66, 0.38, 0.47, 0.47, 0.44, 0.44, 0.41,
            0.5, 0.47, 0.47, 0.85, 0.69, 0.28, 0.5, 0.5, 0.5,
        ],
    ),
    (
        "median",
        "window = 2",
        1e-6,
        [
            0.13, 0.54, 0.95, 0.95, 0.76, 0.76, 0.57, 0.57, 0.95, 0.79, 0.76, 0.6, 0.57, 0.57, 0.82, 0.79, 0.63, 0.6, 0.44, 0.44, 0.82,
            0.66, 0.63, 0.47, 0.88, 0.85, 0.69, 0.66, 0.5, 0.5,
        ],
    ),
    (
        "gaussian-blur",
        "sigma = 1.0",
        2e-6,
        [
            0.406662, 0.557801, 0.630319, 0.569684, 0.477581, 0.385211, 0.437808, 0.557626, 0.596405, 0.530837, 0.444009, 0.378027,
            0.424048, 0.520013, 0.540516, 0.474104, 0.40068, 0.357706, 0.505253, 0.523587, 0.49376, 0.428192, 0.409971, 0.445472, 0.61697,
            0.544947, 0.4666, 0.405965, 0.464727, 0.595519,
        ],
    ),
    (
        "total-variation",
        "weight = 0.1\nkeep = 1.0\niterations = 5000",
        1e-4,
        [
            0.26908, 0.59862, 0.73246, 0.56083, 0.56626, 0.34221, 0.49616, 0.71249, 0.56916, 0.56916, 0.4111, 0.41007, 0.21983, 0.54736,
            0.56916, 0.42866, 0.42122, 0.30984, 0.50555, 0.58371, 0.45584, 0.45169, 0.3372, 0.40679, 0.68807, 0.47017, 0.47017, 0.35466,
            0.42251, 0.71,
        ],
    ),
];

fn medians_blurs_and_variation_are_what_scipy_and_scikit_image_compute() {
    for (kind, options, tolerance, want) in FILTERED {
        let got = values(wrapper(kind, options).inputs(tensor(&small(), 30), [1, 5, 6], &Draw::none(1)));
        for (at, (got, want)) in got.iter().zip(want).enumerate() {
            assert!((got - want).abs() <= tolerance, "{kind} {options}, pixel {at}: {got}, not {want}");
        }
        // Channels do not mix.
        let two: Vec<f32> = small().into_iter().chain(small().into_iter().rev()).collect();
        let both = values(wrapper(kind, options).inputs(tensor(&two, 60), [2, 5, 6], &Draw::none(1)));
        assert_eq!(both[..30], got[..], "{kind}");
    }
}

/// Options with which every wrapper is quick and does something.
fn usual(kind: &str) -> &'static str {
    match kind {
        "squeeze-detector" => "threshold = 0.1",
        "temperature" => "temperature = 2.0",
        "total-variation" => "iterations = 10",
        _ => "",
    }
}

fn draw_of(rows: usize) -> Draw {
    Draw::of((0..rows).map(|row| Some(DrawRow { key: [5, 6], example: 10 + row as u32, attempt: 1, step: 3 })).collect())
}

fn exact_gradients_are_those_of_finite_differences() {
    let (shape, rows) = ([3, 4, 5], 2);
    for row in WRAPPERS.iter().filter(|row| row.backward != Backward::StraightThrough && !matches!(row.backward, Backward::StandIn(_))) {
        let kind = row.entry.name;
        let (wrapper, draw) = (wrapper(kind, usual(kind)), draw_of(rows));
        let (x, weights, way) = (random(rows * 60, 1), random(rows * 60, 2), random(rows * 60, 3));
        let value = |x: &[f32]| -> f64 {
            let seen = values(wrapper.inputs(tensor(x, 60), shape, &draw));
            seen.iter().zip(&weights).map(|(seen, weight)| f64::from(seen * weight)).sum()
        };
        let pulled = values(wrapper.pull(tensor(&x, 60), tensor(&weights, 60), shape, &draw));
        let step = 1e-3f32;
        let moved = |side: f32| -> Vec<f32> { x.iter().zip(&way).map(|(x, way)| x + side * step * (way - 0.5)).collect() };
        let measured = (value(&moved(1.0)) - value(&moved(-1.0))) / f64::from(2.0 * step);
        let said: f64 = pulled.iter().zip(&way).map(|(pulled, way)| f64::from(pulled * (way - 0.5))).sum();
        assert!((measured - said).abs() < 2e-2 * measured.abs().max(1.0), "{kind}: {said}, measured {measured}");
    }
}

fn gradients_through_total_variation_are_those_of_finite_differences_where_it_has_converged() {
    let (shape, rows) = ([2, 5, 6], 2);
    for keep in [1.0, 0.7] {
        let wrapper = wrapper("total-variation", &format!("weight = 0.05\nkeep = {keep:?}\niterations = 4000"));
        let (x, weights, draw) = (random(rows * 60, 1), random(rows * 60, 2), draw_of(rows));
        let value = |x: &[f32]| -> f64 {
            let seen = values(wrapper.inputs(tensor(x, 60), shape, &draw));
            seen.iter().zip(&weights).map(|(seen, weight)| f64::from(*seen) * f64::from(*weight)).sum()
        };
        let pulled = values(wrapper.pull(tensor(&x, 60), tensor(&weights, 60), shape, &draw));
        for way in [3, 4, 5].map(|seed| random(rows * 60, seed)) {
            let step = 1e-3f32;
            let moved = |side: f32| -> Vec<f32> { x.iter().zip(&way).map(|(x, way)| x + side * step * (way - 0.5)).collect() };
            let measured = (value(&moved(1.0)) - value(&moved(-1.0))) / f64::from(2.0 * step);
            let said: f64 = pulled.iter().zip(&way).map(|(pulled, way)| f64::from(pulled * (way - 0.5))).sum();
            println!("keep {keep}: {said}, measured {measured}");
            assert!((measured - said).abs() < 2e-2 * measured.abs().max(1.0), "keep {keep}: {said}, measured {measured}");
        }
        // What was dropped has no part in it.
        let none = pulled.iter().filter(|value| **value == 0.0).count();
        assert!(if keep == 1.0 { none == 0 } else { (15..60).contains(&none) }, "keep {keep}: {none} of 120 have no gradient");
    }
}

fn what_has_no_gradient_has_a_stand_in_and_none_where_attacks_do_not_know_it() {
    let (shape, rows) = ([3, 4, 5], 2);
    let (x, gradient) = (tensor(&random(rows * 60, 1), 60), tensor(&random(rows * 60, 2), 60));
    for row in WRAPPERS {
        let kind = row.entry.name;
        let pull = |wrapper: Box<dyn Wrapper>| values(wrapper.pull(x.clone(), gradient.clone(), shape, &draw_of(rows)));
        let known = pull(wrapper(kind, usual(kind)));
        assert!(known.iter().any(|value| *value != 0.0) && known.iter().all(|value| value.is_finite()), "{kind}");
        let unknown = pull(naive(wrapper(kind, usual(kind)), row.backward));
        // What a detector lets through it has not changed.
        let exact = matches!(row.backward, Backward::Exact | Backward::Poll) || wrapper(kind, usual(kind)).rejects();
        assert_eq!(unknown == known, exact, "{kind}");
        assert!(exact || unknown.iter().all(|value| *value == 0.0), "{kind}");
        if row.backward == Backward::StraightThrough {
            assert_eq!(known, random(rows * 60, 2), "{kind}");
        }
    }
    // JPEG at 4:2:0 passes grey gradients whole and sums of chroma too.
    let jpeg = wrapper("jpeg", "");
    let pulled = values(jpeg.pull(x, gradient, shape, &draw_of(rows)));
    let total = |values: &[f32]| values.iter().sum::<f32>();
    assert!((total(&pulled) - total(&random(rows * 60, 2))).abs() < 1e-3 * total(&pulled));
}

fn draws_depend_on_the_row_and_on_nothing_else() {
    let (shape, columns) = ([1, 6, 6], 36);
    for (kind, options) in [("noise", ""), ("smoothing", ""), ("random-resize", "smallest = 0.5"), ("total-variation", "keep = 0.6")] {
        let wrapper = wrapper(kind, options);
        assert!(wrapper.is_random(), "{kind}");
        let x = random(4 * columns, 9);
        let all = values(wrapper.inputs(tensor(&x, columns), shape, &draw_of(4)));
        // The same row in another slot of another batch.
        let alone = Draw::of(vec![draw_of(4).rows[0], draw_of(4).rows[2]]);
        let two: Vec<f32> = [&x[..columns], &x[2 * columns..3 * columns]].concat();
        let turned = values(wrapper.inputs(tensor(&two, columns), shape, &alone));
        assert_eq!(turned[columns..], all[2 * columns..3 * columns], "{kind}: a row is a row");
        let other = |draw: &Draw| values(wrapper.inputs(tensor(&x, columns), shape, draw));
        assert_eq!(other(&draw_of(4)), all, "{kind}: the same draw");
        assert_ne!(other(&Draw { number: 1, ..draw_of(4) }), all, "{kind}: another throw");
        assert_ne!(other(&draw_of(4).at(1)), all, "{kind}: another layer");
        assert_eq!(other(&draw_of(4).at(0)), all, "{kind}: the outermost layer");
    }
}
