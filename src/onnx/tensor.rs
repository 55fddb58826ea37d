//! Constants out of a file: tensors of every element type, their numbers in the message or in a file beside the model.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};
use std::rc::Rc;

use super::array::{Array, MOST_AXES, product};
use super::dim::fixed;
use super::value::{Value, clip, within};
use super::wire::Tensor;
use crate::{Error, Result};

/// Whole numbers that one constant may hold: indices and shapes, never weights.
const MOST_WHOLE: usize = 1 << 22;

/// Names of ONNX's element types by their number.
const ELEMENTS: [&str; 24] = [
    "undefined",
    "float32",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "string",
    "bool",
    "float16",
    "float64",
    "uint32",
    "uint64",
    "complex64",
    "complex128",
    "bfloat16",
    "float8e4m3fn",
    "float8e4m3fnuz",
    "float8e5m2",
    "float8e5m2fnuz",
    "uint4",
    "int4",
    "float4e2m1",
];

/// The name of an element type.
pub(super) fn element_name(element: i32) -> String {
    usize::try_from(element).ok().and_then(|at| ELEMENTS.get(at)).map_or_else(|| format!("number {element}"), |name| (*name).to_owned())
}

/// Whether an element type is of floats (float32, float16, float64, bfloat16).
pub(super) fn is_float(element: i32) -> bool {
    matches!(element, 1 | 10 | 11 | 16)
}

/// Whether an element type is of whole numbers or booleans.
pub(super) fn is_whole(element: i32) -> bool {
    matches!(element, 2..=7 | 9 | 12 | 13)
}

/// Bytes of one element in raw data.
fn width(element: i32) -> usize {
    match element {
        2 | 3 | 9 => 1,
        4 | 5 | 10 | 16 => 2,
        1 | 6 | 12 => 4,
        _ => 8,
    }
}

/// The constant that a tensor holds; `base`: the folder of the model's file, where files with numbers may lie.
///
/// # Errors
/// Element types that are neither floats nor whole numbers; sides that are negative or whose product is not the count of the numbers
/// there are; other files that are missing, too short, or outside the folder.
pub(super) fn decode(tensor: &Tensor, base: Option<&Path>) -> Result<Value> {
    read(tensor, base).map_err(|error| within(&format!("tensor \"{}\"", clip(&tensor.name)), &error))
}

fn read(tensor: &Tensor, base: Option<&Path>) -> Result<Value> {
    let element = tensor.element;
    if !is_float(element) && !is_whole(element) {
        return Err(
            Error::input(format!("element type {} is not read", element_name(element))).help("export the model with float32 weights")
        );
    }
    let sides: Option<Vec<usize>> = tensor.dims.iter().map(|side| usize::try_from(*side).ok()).collect();
    let within = |sides: &Vec<usize>| sides.len() <= 2 * MOST_AXES && (!sides.contains(&0) || sides.iter().all(|side| *side <= MOST_WHOLE));
    let counted = sides.filter(within).and_then(|sides| product(&sides).map(|count| (sides, count)));
    let (sides, count) = counted.ok_or_else(|| Error::input(format!("impossible sides {:?}", &tensor.dims[..tensor.dims.len().min(8)])))?;
    if is_whole(element) && count > MOST_WHOLE {
        return Err(Error::input(format!("{count} whole numbers, at most {MOST_WHOLE} are read"))
            .help("export the float model, before quantisation"));
    }
    let bytes = count.checked_mul(width(element)).ok_or_else(|| Error::input("too many elements"))?;
    let outside;
    let raw = if tensor.location == 1 {
        outside = external(tensor, bytes, base)?;
        Some(&outside)
    } else {
        tensor.raw.as_ref()
    };
    if let Some(raw) = raw {
        if raw.len() != bytes {
            let element = element_name(element);
            return Err(Error::input(format!("sides {sides:?} of {element} want {bytes} bytes, there are {}", raw.len())));
        }
        return Ok(if is_float(element) {
            floats(sides, from_bytes(raw, element, f32::from_le_bytes, |bits| half(bits, element), |x| f64::from_le_bytes(x) as f32))
        } else {
            whole(sides, whole_bytes(raw, element))
        });
    }
    let value = match element {
        1 => floats(sides, tensor.floats.clone()),
        11 => floats(sides, tensor.doubles.iter().map(|x| *x as f32).collect()),
        10 | 16 => floats(sides, tensor.int32s.iter().map(|bits| half(*bits as u16, element)).collect()),
        7 => whole(sides, tensor.int64s.clone()),
        12 | 13 => whole(sides, tensor.uint64s.iter().map(|x| saturate(*x)).collect()),
        _ => whole(sides, tensor.int32s.iter().map(|x| i64::from(*x)).collect()),
    };
    let found = match &value {
        Value::Floats { array, .. } => array.values.len(),
        Value::Whole(array) => array.values.len(),
        Value::Live(_) => 0,
    };
    if found != count {
        return Err(Error::input(format!("sides {:?} want {count} elements, there are {found}", tensor.dims)));
    }
    Ok(value)
}

fn floats(sides: Vec<usize>, values: Vec<f32>) -> Value {
    Value::floats(Array { sides, values })
}

fn whole(sides: Vec<usize>, values: Vec<i64>) -> Value {
    Value::Whole(Rc::new(Array { sides, values: values.into_iter().map(fixed).collect() }))
}

fn saturate(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_bytes(raw: &[u8], element: i32, single: fn([u8; 4]) -> f32, half: impl Fn(u16) -> f32, double: fn([u8; 8]) -> f32) -> Vec<f32> {
    match element {
        1 => raw.as_chunks().0.iter().map(|bytes| single(*bytes)).collect(),
        11 => raw.as_chunks().0.iter().map(|bytes| double(*bytes)).collect(),
        _ => raw.as_chunks().0.iter().map(|bytes| half(u16::from_le_bytes(*bytes))).collect(),
    }
}

fn whole_bytes(raw: &[u8], element: i32) -> Vec<i64> {
    match element {
        2 | 9 => raw.iter().map(|byte| i64::from(*byte)).collect(),
        3 => raw.iter().map(|byte| i64::from(*byte as i8)).collect(),
        4 => raw.as_chunks().0.iter().map(|bytes| i64::from(u16::from_le_bytes(*bytes))).collect(),
        5 => raw.as_chunks().0.iter().map(|bytes| i64::from(i16::from_le_bytes(*bytes))).collect(),
        6 => raw.as_chunks().0.iter().map(|bytes| i64::from(i32::from_le_bytes(*bytes))).collect(),
        12 => raw.as_chunks().0.iter().map(|bytes| i64::from(u32::from_le_bytes(*bytes))).collect(),
        13 => raw.as_chunks().0.iter().map(|bytes| saturate(u64::from_le_bytes(*bytes))).collect(),
        _ => raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
    }
}

/// A float of 16 bits: bfloat16 (16) or IEEE half precision.
fn half(bits: u16, element: i32) -> f32 {
    if element == 16 {
        return f32::from_bits(u32::from(bits) << 16);
    }
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

/// Numbers in another file: `bytes` of them, checked against the file's length before they are read.
fn external(tensor: &Tensor, bytes: usize, base: Option<&Path>) -> Result<Vec<u8>> {
    let entry = |key: &str| tensor.external.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let name = entry("location").ok_or_else(|| Error::input("its numbers are in another file that is not named"))?;
    let number = |key| entry(key).map_or(Ok(None), |text| text.parse::<u64>().map(Some));
    let (Ok(offset), Ok(length)) = (number("offset"), number("length")) else {
        return Err(Error::input("its place in another file is not a number"));
    };
    let wanted = bytes as u64;
    if length.is_some_and(|length| length != wanted) {
        return Err(Error::input(format!(
            "its sides want {wanted} bytes, \"{}\" is said to hold {}",
            clip(name),
            length.unwrap_or_default()
        )));
    }
    let base = base.ok_or_else(|| {
        Error::input(format!("its numbers are in another file, \"{}\"", clip(name)))
            .help("give the model as a file, or export it in one piece")
    })?;
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let path = base.join(name);
    // Links count as where they lead.
    let real = path.canonicalize().ok().zip(base.canonicalize().ok());
    if !inside || real.as_ref().is_some_and(|(path, base)| !path.starts_with(base)) {
        return Err(Error::input(format!("its numbers are said to be in \"{}\", outside the model's folder", clip(name)))
            .help("export the model in one piece, or put the file beside it"));
    }
    let failed = |why: String| {
        Error::input(format!("its numbers are in \"{}\": {why}", path.display()))
            .help("copy that file beside the model, or export the model in one piece")
    };
    let metadata = std::fs::metadata(&path).map_err(|error| failed(error.to_string()))?;
    let start = offset.unwrap_or(0);
    if !metadata.is_file() || start.checked_add(wanted).is_none_or(|end| end > metadata.len()) {
        return Err(failed(format!("{wanted} bytes from {start} on are asked for, it has {}", metadata.len())));
    }
    let mut file = File::open(&path).map_err(|error| failed(error.to_string()))?;
    let mut numbers = vec![0; bytes];
    file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut numbers)).map_err(|error| failed(error.to_string()))?;
    Ok(numbers)
}
