//! `[[threat]]`.

use toml::de::DeValue;

use crate::suite::check::distance;
use crate::suite::reader::{Field, Fields, Reader, list, written};
use crate::threat::epsilon::in_levels;
use crate::threat::{Norm, Sweep, Threat};

/// The threats that can be read; a norm twice is a mistake.
pub(super) fn threats(reader: &mut Reader, tables: Vec<Fields>) -> Vec<Threat> {
    let mut threats: Vec<Threat> = Vec::new();
    for mut fields in tables {
        let norms: Vec<&str> = Norm::ALL.iter().map(|norm| norm.name()).collect();
        let field = fields.require(reader, "norm", &format!("add norm = one of {}", list(&norms)));
        let span = field.as_ref().map(|field| field.span.clone());
        let chosen = field.and_then(|field| reader.choice(&field, "norm", &norms));
        let norm = Norm::ALL.into_iter().find(|norm| Some(norm.name()) == chosen);
        let epsilons = fields.require(reader, "epsilons", EPSILONS).map_or(Vec::new(), |field| epsilons(reader, &field, norm));
        let sweep = fields.take("sweep").and_then(|field| reader.choice(&field, "sweep", &["descending", "exhaustive"]));
        let sweep = if sweep == Some("exhaustive") { Sweep::Exhaustive } else { Sweep::Descending };
        fields.finish(reader);
        let (Some(norm), Some(span)) = (norm, span) else { continue };
        if threats.iter().any(|threat| threat.norm == norm) {
            let message = format!("a second threat with the norm {:?}", norm.name());
            reader.mistake(span, message, "give each norm one [[threat]] with all its epsilons");
        }
        threats.push(Threat { norm, epsilons, sweep });
    }
    threats
}

const EPSILONS: &str = "list the radii: epsilons = [0, 0.1, \"8/255\"]";

/// Radii that are no further apart are one: a sweep does not tell them apart either.
const SAME: f64 = 1e-6;

/// The radii, ascending; one twice is a mistake, however it is written.
fn epsilons(reader: &mut Reader, field: &Field, norm: Option<Norm>) -> Vec<f64> {
    let DeValue::Array(array) = field.value else {
        reader.mismatch(field, "a list of distances such as [0, 0.1, \"8/255\"]");
        return Vec::new();
    };
    if array.is_empty() {
        reader.mistake(field.span.clone(), format!("{} is empty", field.name), EPSILONS);
    }
    let mut radii: Vec<(usize, f64)> = Vec::new();
    for (index, value) in array.iter().enumerate() {
        let element = Field::new(format!("element {} of {}", index + 1, field.name), value);
        let Some(radius) = radius(reader, &element, norm) else { continue };
        if let Some((first, _)) = radii.iter().find(|(_, other)| (other - radius).abs() <= SAME) {
            let message = format!(
                "{}, {}, is the radius of element {} again, {}",
                element.name,
                written(value.get_ref()),
                first + 1,
                written(array[*first].get_ref())
            );
            reader.mistake(element.span, message, "give each radius once");
        }
        radii.push((index, radius));
    }
    let mut epsilons: Vec<f64> = radii.into_iter().map(|(_, radius)| radius).collect();
    epsilons.sort_by(f64::total_cmp);
    epsilons
}

fn radius(reader: &mut Reader, field: &Field, norm: Option<Norm>) -> Option<f64> {
    if norm != Some(Norm::Linf) {
        return distance(reader, field, 0.0, f64::INFINITY);
    }
    match field.number().and_then(in_levels) {
        Some(way) => {
            reader.mismatch(field, &format!("a distance from 0 to 1 under linf; the whole range of a pixel is 1: {way}"));
            None
        }
        None => distance(reader, field, 0.0, 1.0),
    }
}
