//! Where the images go in: the order of their sides, their range, and the batch.

use std::collections::HashMap;

use super::array::Array;
use super::functions::Step;
use super::tensor::{self, element_name, is_float, is_whole};
use super::value::{Value, clip};
use super::wire::{Tensor, ValueInfo};
use super::writer::Writer;
use super::{Declared, Layout, Range, moves};
use crate::graph::{Binary, Dim, Op};
use crate::{Error, Result};

/// Numbers of an image.
const LARGEST_IMAGE: usize = 1 << 26;

/// What the nodes right behind the input tell of it.
pub(super) struct Readers<'a> {
    steps: &'a [Step],
    readers: HashMap<&'a str, Vec<usize>>,
    constants: &'a HashMap<String, Tensor>,
}

/// Nodes behind the input that are looked at.
const FURTHEST: usize = 64;

impl<'a> Readers<'a> {
    pub fn new(steps: &'a [Step], order: &[usize], constants: &'a HashMap<String, Tensor>) -> Self {
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        for at in order {
            for name in &steps[*at].node.inputs {
                readers.entry(name).or_default().push(*at);
            }
        }
        Self { steps, readers, constants }
    }

    /// Nodes that read a value, or it after it was only cast, moved or reshaped.
    fn behind(&self, name: &str, through: &[&str]) -> Vec<&'a Step> {
        let mut names = vec![name.to_owned()];
        let mut found = Vec::new();
        while let Some(name) = names.pop() {
            for at in self.readers.get(name.as_str()).into_iter().flatten() {
                let step = &self.steps[*at];
                if found.len() == FURTHEST {
                    return found;
                }
                found.push(step);
                if through.contains(&step.node.op.as_str()) && step.node.inputs.first() == Some(&name) {
                    names.extend(step.node.outputs.first().cloned());
                }
            }
        }
        found
    }

    /// The layout that the first node with an opinion takes.
    fn layout(&self, input: &str) -> Option<Layout> {
        self.behind(input, &["Cast", "Identity", "Mul", "Div", "Sub", "Add"]).into_iter().find_map(|step| match step.node.op.as_str() {
            "Conv" => Some(Layout::Nchw),
            "Transpose" => step.node.attributes.iter().any(|attribute| attribute.ints == [0, 3, 1, 2]).then_some(Layout::Nhwc),
            _ => None,
        })
    }

    /// The numbers of a small constant.
    fn constant(&self, name: &str) -> Option<Vec<f32>> {
        const MOST: i64 = 4096;
        let made = || {
            let step = self
                .steps
                .iter()
                .find(|step| step.node.op == "Constant" && step.node.outputs.first().is_some_and(|output| output == name))?;
            step.node.attributes.first()?.tensor.as_ref()
        };
        let tensor = self.constants.get(name).or_else(made)?;
        let small =
            tensor.dims.iter().try_fold(1_i64, |product, side| product.checked_mul(*side)).is_some_and(|count| (1..=MOST).contains(&count));
        if !small {
            return None;
        }
        match tensor::decode(tensor, None) {
            Ok(Value::Floats { array, .. }) => Some(array.values.clone()),
            _ => None,
        }
    }

    /// What shows that pixels of 0 to 255 are meant: they are divided by 255, or means of dozens are taken off.
    fn bytes(&self, input: &str) -> Option<String> {
        self.behind(input, &["Cast", "Identity", "Transpose", "Reshape", "Flatten"]).into_iter().find_map(|step| {
            let [_, operand] = &step.node.inputs[..] else { return None };
            let numbers = self.constant(operand)?;
            let all = |low: f32, high: f32| numbers.iter().all(|x| (low..=high).contains(x));
            let telling = match step.node.op.as_str() {
                "Div" => all(100.0, 256.0),
                "Mul" => all(1.0 / 256.0, 0.0101),
                "Sub" => all(20.0, 255.0),
                _ => false,
            };
            telling.then(|| super::order::label(step))
        })
    }
}

/// How images enter a file's graph.
pub(super) struct Entrance {
    /// Channels, height and width.
    pub shape: [usize; 3],
    layout: Layout,
    /// How many sides the file's input has: [N, features], [N, H, W] or all four.
    rank: usize,
    batch: Option<i64>,
    notes: Vec<String>,
}

fn declare(message: String, field: &str) -> Error {
    Error::input(message).help(format!("declare it in the suite: {field}"))
}

impl Entrance {
    pub fn find(info: &ValueInfo, readers: &Readers, declared: &Declared) -> Result<Self> {
        let name = clip(&info.name);
        let element = info.element();
        let bytes = readers.bytes(&info.name);
        match (&bytes, declared.range) {
            (_, Some(_)) => {}
            _ if element != 0 && is_whole(element) => {
                return Err(declare(
                    format!("input \"{name}\" is of {}, so its pixels probably run to 255", element_name(element)),
                    "range = \"0..255\"",
                ));
            }
            (Some(node), None) => {
                let message = format!("input \"{name}\" seems to take pixels of 0 to 255: node {node} scales them down");
                return Err(declare(message, "range = \"0..255\" (or range = \"0..1\" if it does take 0 to 1)"));
            }
            _ => {}
        }
        if element != 0 && !is_float(element) && !is_whole(element) {
            return Err(
                Error::input(format!("input \"{name}\" is of {}", element_name(element))).help("export the model for float32 images")
            );
        }
        let hint = declared.layout.or_else(|| readers.layout(&info.name));
        let mut found = match (info.sides(), declared.shape) {
            (Some(sides), _) => Self::from_sides(&name, &sides, hint, declared)?,
            (None, Some(shape)) => match hint {
                Some(layout) => Self { shape, layout, rank: 4, batch: None, notes: Vec::new() },
                None => return Err(declare(format!("the sides of input \"{name}\" are not stated"), "layout = \"nchw\" or \"nhwc\"")),
            },
            (None, None) => {
                return Err(declare(format!("the sides of input \"{name}\" are not stated"), "shape = [channels, height, width]"));
            }
        };
        if found.shape.contains(&0) || super::array::product(&found.shape).is_none_or(|count| count > LARGEST_IMAGE) {
            return Err(
                Error::input(format!("input \"{name}\" takes images of {:?}", found.shape)).help("images have at most 2^26 numbers")
            );
        }
        if let Some(batch) = found.batch {
            found.notes.push(format!("the file fixes the batch to {batch}; it is read for any number of examples"));
        }
        if element == 11 {
            found.notes.push("double precision in the file is computed in single precision".into());
        }
        Ok(found)
    }

    fn from_sides(name: &str, sides: &[Option<i64>], hint: Option<Layout>, declared: &Declared) -> Result<Self> {
        let batch = sides.first().copied().flatten();
        let text: Vec<String> = sides.iter().take(8).map(|side| side.map_or_else(|| "?".into(), |side| side.to_string())).collect();
        let text = format!("input \"{name}\" [{}]", text.join(", "));
        let rest: Vec<Option<usize>> = sides.iter().skip(1).map(|side| side.and_then(|side| usize::try_from(side).ok())).collect();
        let other = |shape: [usize; 3]| {
            Error::input(format!("{text} does not take images of {} x {} x {}", shape[0], shape[1], shape[2]))
                .help("the data's channels, height and width must be the model's: take other data, or export the model for these sides")
        };
        match rest[..] {
            [features] => {
                let shape = declared.shape.or(features.map(|features| [1, 1, features]));
                let shape =
                    shape.ok_or_else(|| declare(format!("{text} does not state its features"), "shape = [channels, height, width]"))?;
                if features.is_some_and(|features| super::array::product(&shape) != Some(features)) {
                    return Err(other(shape));
                }
                if shape[0] > 1 && declared.layout.is_none() {
                    return Err(declare(
                        format!("{text} takes flat images of {} channels, in an order that it does not state", shape[0]),
                        "layout = \"nchw\" (channel by channel) or \"nhwc\" (pixel by pixel)",
                    ));
                }
                let notes = vec!["images are flattened for the model".to_owned()];
                Ok(Self { shape, layout: declared.layout.unwrap_or(Layout::Nchw), rank: 2, batch, notes })
            }
            [height, width] => {
                let stated = height.zip(width).map(|(height, width)| [1, height, width]);
                let shape = declared
                    .shape
                    .or(stated)
                    .ok_or_else(|| declare(format!("{text} leaves sides open"), "shape = [channels, height, width]"))?;
                if !fits([Some(1), height, width], shape) {
                    return Err(other(shape));
                }
                Ok(Self {
                    shape,
                    layout: Layout::Nchw,
                    rank: 3,
                    batch,
                    notes: vec!["images enter without a side for their one channel".into()],
                })
            }
            [first, middle, last] => {
                let (nchw, nhwc) = ([first, middle, last], [last, first, middle]);
                let (layout, shape) = match declared.shape {
                    Some(shape) => {
                        let layout = match (fits(nchw, shape), fits(nhwc, shape), declared.layout) {
                            (true, _, Some(Layout::Nchw)) | (true, false, None) => Some(Layout::Nchw),
                            (_, true, Some(Layout::Nhwc)) | (false, true, None) => Some(Layout::Nhwc),
                            (true, true, None) => hint,
                            (false, false, _) => return Err(other(shape)),
                            (_, _, Some(layout)) => {
                                return Err(declare(
                                    format!("{text} contradicts layout = \"{}\"", if layout == Layout::Nchw { "nchw" } else { "nhwc" }),
                                    "the other layout, or none",
                                ));
                            }
                        };
                        (layout, Some(shape))
                    }
                    None => {
                        let colours = |side: Option<usize>| matches!(side, Some(1 | 3 | 4));
                        let layout = declared.layout.or(match (colours(first), colours(last)) {
                            (true, false) => Some(Layout::Nchw),
                            (false, true) => Some(Layout::Nhwc),
                            _ => hint,
                        });
                        let stated = |sides: [Option<usize>; 3]| Some([sides[0]?, sides[1]?, sides[2]?]);
                        (layout, layout.and_then(|layout| stated(if layout == Layout::Nchw { nchw } else { nhwc })))
                    }
                };
                let layout = layout.ok_or_else(|| {
                    declare(format!("{text} does not tell which side holds the channels"), "layout = \"nchw\" or \"nhwc\"")
                })?;
                let shape = shape.ok_or_else(|| declare(format!("{text} leaves sides open"), "shape = [channels, height, width]"))?;
                let notes = if layout == Layout::Nhwc { vec!["images enter as [N, height, width, channels]".into()] } else { Vec::new() };
                Ok(Self { shape, layout, rank: 4, batch, notes })
            }
            _ => Err(Error::input(format!("{text} takes no images"))
                .help("images enter as [N, C, H, W], [N, H, W, C], [N, H, W] or [N, features]")),
        }
    }

    /// The nodes from images [N, C, H, W] in [0, 1] to what the file takes.
    pub fn write(&self, writer: &mut Writer, declared: &Declared) -> Result<Value> {
        const NAME: &str = "input";
        writer.batch = self.batch;
        writer.notes.extend(self.notes.iter().cloned());
        let mut x = writer.images();
        if declared.range == Some(Range::Bytes) {
            writer.note("pixels are multiplied by 255 for the model");
            let scale = writer.live(&Value::floats(Array::line(vec![255.0])), NAME)?;
            x = writer.emit(NAME, Op::Binary(Binary::Multiply), &[&x, &scale])?;
        }
        let mut value = Value::from(x);
        if self.layout == Layout::Nhwc && self.rank != 3 {
            value = moves::transpose(writer, NAME, &value, &[0, 2, 3, 1])?;
        }
        let [_, height, width] = self.shape.map(Dim::from);
        match self.rank {
            2 => moves::reshape(writer, NAME, &value, &[Dim::EXAMPLES, Dim::from(self.shape.iter().product::<usize>())]),
            3 => moves::reshape(writer, NAME, &value, &[Dim::EXAMPLES, height, width]),
            _ => Ok(value),
        }
    }

    /// The input as the file has it, for the model's facts.
    pub fn text(&self, info: &ValueInfo) -> String {
        let sides = info.sides().unwrap_or_default();
        let rest = sides.iter().skip(1).take(3).map(|side| side.map_or_else(|| "?".to_owned(), |side| side.to_string()));
        let first = self.batch.map_or_else(|| "N".to_owned(), |batch| batch.to_string());
        format!("{} [{}]", clip(&info.name), std::iter::once(first).chain(rest).collect::<Vec<_>>().join(", "))
    }
}

/// Whether sides, some of them open, are those of a shape.
fn fits(sides: [Option<usize>; 3], shape: [usize; 3]) -> bool {
    sides.iter().zip(shape).all(|(side, wanted)| side.is_none_or(|side| side == wanted))
}
