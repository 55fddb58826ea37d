//! Training curves: loss and accuracies by epoch, a defence a row.

use super::TrainingCurve;
use super::axes::{EM, Frame, Swatch, accuracy_ticks, heading_with, legend};
use super::palette::Style;
use super::picture::{Picture, Type};
use super::text;
use super::view::View;
use crate::evaluate::record::Epoch;

const WIDTH: f64 = 680.0;
const PANEL: (f64, f64) = (232.0, 180.0);
const SUBTITLE: &str = "on the training batches as they were met, before each step; validation on examples kept apart, after each epoch";

/// Loss on the left, clean and robust accuracy on the right; `None` without an epoch.
pub fn training(view: &View, curves: &[TrainingCurve]) -> Option<Picture> {
    let curves: Vec<&TrainingCurve> = curves.iter().filter(|curve| !curve.epochs.is_empty()).collect();
    if curves.is_empty() {
        return None;
    }
    let mut picture = Picture::new("Training", WIDTH);
    let mut y = heading_with(&mut picture, view, SUBTITLE);
    for curve in &curves {
        y += 14.0 + picture.paragraph((16.0, y + 14.0), &curve.defence, Type::plain(15.0).bold(), WIDTH - 32.0);
        for (epoch, event) in curve.epochs.iter().filter_map(|point| Some((point.epoch, point.event?))) {
            y +=
                8.0 + picture.paragraph((16.0, y + 4.0), &format!("epoch {epoch}: {}", event.words()), Type::plain(EM - 2.0), WIDTH - 32.0);
        }
        panels(&mut picture, curve, y);
        y += PANEL.1 + 64.0;
        if let Some(last) = curve.epochs.last() {
            let robust = last.robust_accuracy.map_or(String::new(), |robust| format!(", robust accuracy {}", text::percent(robust)));
            let clean = text::percent(last.clean_accuracy);
            let ended = last.event.map_or(String::new(), |event| format!("; {}", event.words()));
            let words =
                format!("{}: loss {:.3}, clean accuracy {clean}{robust} after epoch {}{ended}. ", curve.defence, last.loss, last.epoch);
            picture.description.push_str(&words);
        }
    }
    let mut entries = vec![("training loss".to_owned(), Swatch::Line(loss())), ("clean accuracy".to_owned(), Swatch::Line(clean()))];
    let anywhere = |value: Measure| curves.iter().any(|curve| curve.epochs.iter().any(|point| value(point).is_some()));
    for (name, style, value) in MORE {
        if anywhere(*value) {
            entries.push(((*name).to_owned(), Swatch::Line(style())));
        }
    }
    picture.height = legend(&mut picture, y, &entries) + 10.0;
    Some(picture)
}

fn loss() -> Style {
    Style { marker: None, dash: &[], ..Style::nth(3, 2.4) }
}

fn clean() -> Style {
    Style::nth(0, 2.4)
}

fn robust() -> Style {
    Style::nth(1, 2.4)
}

/// A number of an epoch, where it has one.
type Measure = fn(&Epoch) -> Option<f64>;

/// A curve's name, style and numbers.
type Kind = (&'static str, fn() -> Style, Measure);

/// The curves beside the loss and the clean accuracy, where there are any.
const MORE: &[Kind] = &[
    ("robust accuracy", robust, |point| point.robust_accuracy),
    ("clean accuracy, validation", || apart(clean()), |point| Some(point.validation?.clean_accuracy)),
    ("robust accuracy, validation", || apart(robust()), |point| point.validation?.robust_accuracy),
    ("PGD on a training batch", || Style { marker: None, ..Style::nth(2, 1.8) }, |point| point.checked_accuracy),
];

/// The same, measured on examples that were kept apart.
fn apart(style: Style) -> Style {
    Style { marker: None, dash: &[2.0, 4.0], ..style }
}

fn panels(picture: &mut Picture, curve: &TrainingCurve, top: f64) {
    let epochs = || curve.epochs.iter().map(|point| point.epoch as f64);
    let (first, last) = (epochs().fold(f64::INFINITY, f64::min), epochs().fold(0.0, f64::max));
    let x = if first == last { (first - 0.5, last + 0.5) } else { (first, last) };
    let step = ((last - first) / 9.0).ceil().max(1.0);
    let mut ticks: Vec<(f64, String)> = Vec::new();
    let mut tick = first;
    while tick <= last {
        ticks.push((tick, format!("{tick}")));
        tick += step;
    }
    let ceiling = curve.epochs.iter().map(|point| point.loss).filter(|loss| loss.is_finite()).fold(0.0, f64::max);
    let (ceiling, loss_ticks) = loss_axis(ceiling);
    let left = Frame { corner: (74.0, top), size: PANEL, x, y: (0.0, ceiling) };
    let right = Frame { corner: (WIDTH - PANEL.0 - 24.0, top), size: PANEL, x, y: (0.0, 1.0) };
    left.axes(picture, &ticks, &loss_ticks, "epoch", "loss");
    right.axes(picture, &ticks, &accuracy_ticks(), "epoch", "accuracy (%)");
    plot(picture, &left, curve, loss(), |point| Some(point.loss));
    plot(picture, &right, curve, clean(), |point| Some(point.clean_accuracy));
    for (_, style, value) in MORE {
        plot(picture, &right, curve, style(), value);
    }
}

fn plot(picture: &mut Picture, frame: &Frame, curve: &TrainingCurve, style: Style, value: impl Fn(&Epoch) -> Option<f64>) {
    let known = curve.epochs.iter().filter_map(|point| Some((point.epoch as f64, value(point)?)));
    let points: Vec<_> = known.filter(|(_, value)| value.is_finite()).map(|(epoch, value)| frame.place(epoch, value)).collect();
    picture.curve(&points, style);
    if points.len() == 1 && style.marker.is_none() {
        picture.marker(points[0], super::palette::Marker::Disc, EM / 3.0, style.colour);
    }
}

/// A round upper end for losses up to `largest`, and its ticks.
fn loss_axis(largest: f64) -> (f64, Vec<(f64, String)>) {
    let largest = if largest > 0.0 { largest } else { 1.0 };
    let power = 10f64.powf((largest / 4.0).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| step * 5.0 >= largest).unwrap_or(power * 10.0);
    let steps = (largest / step).ceil().max(1.0) as usize;
    ((steps as f64) * step, (0..=steps).map(|index| (index as f64 * step, text::distance(index as f64 * step))).collect())
}
