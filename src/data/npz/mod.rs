//! NumPy archives with images and labels: `np.savez` or `np.savez_compressed`.

mod array;

use std::path::Path;

use array::{Array, Numbers};

use super::pixels::Pixels;
use super::{Dataset, Request, Source};
use crate::error::{Error, Result};
use crate::options::{Accepts, Entry, OptionSpec};

/// The row of the table.
pub(super) const SOURCE: Source = Source {
    entry: Entry {
        name: "npz",
        summary: "a NumPy archive with images (uint8, or floats in [0, 1]) and integer labels",
        options: &[
            OptionSpec { name: "path", accepts: Accepts::Text, default: None, help: ".npz file" },
            OptionSpec {
                name: "images",
                accepts: Accepts::Text,
                default: Some("\"images\""),
                help: "the images' array; where it is left at its default: images, x_test, x, X or data",
            },
            OptionSpec {
                name: "labels",
                accepts: Accepts::Text,
                default: Some("\"labels\""),
                help: "the labels' array; where it is left at its default: labels, y_test or y",
            },
            OptionSpec {
                name: "layout",
                accepts: Accepts::Choice(&["auto", "nhwc", "nchw"]),
                default: Some("\"auto\""),
                help: "where the channels of a 4-D array are; auto: the axis of length 1, 3 or 4",
            },
            OptionSpec {
                name: "classes",
                accepts: Accepts::Integer(2, MOST_CLASSES),
                default: None,
                help: "number of classes; the largest label + 1 where absent",
            },
        ],
    },
    splits: &[],
    load,
};

const MOST_CLASSES: i64 = 65_536;
const IMAGE_KEYS: &[&str] = &["images", "x_test", "x", "X", "data"];
const LABEL_KEYS: &[&str] = &["labels", "y_test", "y"];

fn load(request: &Request) -> Result<Dataset> {
    let path = request.path("npz", "the .npz file")?;
    let mut archive = array::open(&path)?;
    let images = Array::read(&path, &mut archive, request.text("images"), IMAGE_KEYS)?;
    let labels = Array::read(&path, &mut archive, request.text("labels"), LABEL_KEYS)?;

    let plan = Plan::new(&images, request.text("layout"))?;
    let labels = read_labels(labels)?;
    if labels.len() != plan.count {
        return Err(Error::input(format!(
            "{}: the counts disagree: shape {:?} holds {} images, and there are {} labels",
            images.place,
            images.shape,
            plan.count,
            labels.len()
        ))
        .help("the first axis of both arrays counts the examples"));
    }
    let place = path.display().to_string();
    let range = request.positions(plan.count, &place)?;
    let first = u32::try_from(range.start);
    let (Ok(first), Ok(end)) = (first, u32::try_from(range.end)) else {
        return Err(Error::input(format!("{place}: {} examples are more than ids can number", plan.count)).help("split the file"));
    };
    let classes = match request.size("classes") {
        0 => infer_classes(&path, &labels)?,
        classes => classes,
    };
    let shown = path.file_name().map_or_else(|| "npz".into(), |name| name.to_string_lossy().into_owned());
    let name = format!("{shown}, {}", request.split);
    let chosen = labels[range.clone()].to_vec();
    let pixels = match images.into_numbers()? {
        Numbers::Bytes(values) => Pixels::Bytes(plan.gather(&values, range, |value| value)),
        Numbers::Single(values) => Pixels::Floats(plan.gather(&values, range, |value| value)),
        Numbers::Double(values) => Pixels::Floats(plan.gather(&values, range, |value| value as f32)),
    };
    Dataset::read_from(&place, name, plan.shape, classes, (first..end).collect(), pixels, chosen)
}

/// Where an image's values are in the array.
struct Plan {
    count: usize,
    shape: [usize; 3],
    /// Elements from one example, channel, row and column to the next.
    strides: [usize; 4],
}

impl Plan {
    fn new(images: &Array, layout: &str) -> Result<Self> {
        let (size, step) = (&images.shape, &images.strides);
        if size.len() == 3 {
            return Ok(Self { count: size[0], shape: [1, size[1], size[2]], strides: [step[0], 0, step[1], step[2]] });
        }
        if size.len() != 4 {
            return Err(Error::input(format!("{}: shape {size:?} has {} axes", images.place, size.len()))
                .help("images are [examples, height, width], or that with channels last or second: reshape them"));
        }
        let may_be_channels = |axis: usize| matches!(size[axis], 1 | 3 | 4);
        let channels_last = match (layout, may_be_channels(1), may_be_channels(3)) {
            ("nhwc", ..) | ("auto", false, true) => true,
            ("nchw", ..) | ("auto", true, false) => false,
            (_, both, _) => {
                let why = if both { "both the second and the last axis" } else { "neither the second nor the last axis" };
                return Err(Error::input(format!("{}: shape {size:?} does not tell the channels: {why} could hold them", images.place))
                    .help("say layout = \"nhwc\" (channels last) or layout = \"nchw\" (channels second)"));
            }
        };
        let [c, y, x] = if channels_last { [3, 1, 2] } else { [1, 2, 3] };
        Ok(Self { count: size[0], shape: [size[c], size[y], size[x]], strides: [step[0], step[c], step[y], step[x]] })
    }

    /// The examples of `range` as [examples, channels, height, width].
    fn gather<T: Copy, U>(&self, values: &[T], range: std::ops::Range<usize>, convert: impl Fn(T) -> U) -> Vec<U> {
        let [channels, height, width] = self.shape;
        let [per_example, per_channel, per_row, per_column] = self.strides;
        let mut images = Vec::with_capacity(range.len() * channels * height * width);
        for example in range {
            for channel in 0..channels {
                for row in 0..height {
                    let start = example * per_example + channel * per_channel + row * per_row;
                    images.extend((0..width).map(|column| convert(values[start + column * per_column])));
                }
            }
        }
        images
    }
}

fn read_labels(array: Array) -> Result<Vec<u32>> {
    if !matches!(array.shape.as_slice(), [_] | [_, 1]) {
        return Err(Error::input(format!("{}: shape {:?} is not one label an example", array.place, array.shape))
            .help("labels are [examples]; for one-hot labels store `labels.argmax(axis=1)`"));
    }
    let place = array.place.clone();
    let whole = array.into_integers()?;
    let wrong = |label: &i128| u32::try_from(*label).is_err();
    if let Some(first) = whole.iter().position(wrong) {
        let count = whole.iter().filter(|label| wrong(label)).count();
        return Err(Error::input(format!(
            "{place}: example {first} has the label {} ({count} of {} are no class)",
            whole[first],
            whole.len()
        ))
        .help("number the classes from 0; leave out examples without a class"));
    }
    Ok(whole.into_iter().map(|label| label as u32).collect())
}

fn infer_classes(path: &Path, labels: &[u32]) -> Result<usize> {
    let (example, largest) = labels.iter().copied().enumerate().max_by_key(|&(_, label)| label).unwrap_or_default();
    if i64::from(largest) >= MOST_CLASSES {
        return Err(Error::input(format!(
            "{}: example {example} has the label {largest}; at most {MOST_CLASSES} classes are handled",
            path.display()
        ))
        .help("number the classes from 0 without gaps, or give the option `classes`"));
    }
    Ok(largest as usize + 1)
}
