//! Defences as points: clean against robust accuracy with the Pareto front, and what robustness costs.
//!
//! Seconds are noise within a factor that [`Slack`] says, and no defence is on a front for a smaller difference.

use super::super::axes::{Frame, Swatch, WIDTH, accuracy_ticks, heading, legend};
use super::super::palette::{FAINT, INK, Style};
use super::super::picture::{Picture, Point, Type};
use super::super::text;
use super::super::view::View;
use super::labels::label;
use super::seconds::Slack;
use super::{Line, front, lines, reach, reaches, span};
use crate::evaluate::results::DefenceTiming;
use crate::evaluate::spread::Spread;
use crate::threat::Norm;

const FRONT: Style = Style { colour: INK, marker: None, dash: &[7.0, 4.0], width: 1.6 };

/// A defence as a point: its value across, robust accuracy up, both with what they reach over.
struct Dot<'a> {
    name: &'a str,
    /// Whether checks of its evaluation fail.
    refused: bool,
    x: f64,
    across: [f64; 2],
    robust: Spread,
}

impl Dot<'_> {
    fn words(&self) -> String {
        let doubt = if self.refused { " (checks fail)" } else { "" };
        format!("{}{doubt}", self.name)
    }
}

/// What lies across.
struct Across {
    title: &'static str,
    label: &'static str,
    range: (f64, f64),
    ticks: Vec<(f64, String)>,
    /// 1 where more is better, -1 where less is.
    better: f64,
    /// Values within it of each other are equal.
    slack: f64,
    /// How it was counted, where that needs words.
    counted: String,
    say: fn(f64) -> String,
}

/// Clean against robust accuracy at an epsilon, and the defences that no other beats in both; `None` where fewer than two are there.
pub fn pareto(view: &View, norm: Norm, epsilon: f64) -> Option<Picture> {
    let dot = |line: &Line| line.clean(view).map(|clean| (clean.mean, reach(&clean)));
    let dots = dots(view, norm, epsilon, dot);
    let lowest = dots.iter().map(|dot| dot.x.min(dot.across[0])).fold(1.0, f64::min);
    let step = if lowest > 0.9 {
        0.02
    } else if lowest > 0.75 {
        0.05
    } else {
        0.2
    };
    let low = ((lowest / step - 0.25).floor() * step).max(0.0);
    let steps = ((1.0 - low) / step).round() as usize;
    let ticks = (0..=steps).map(|tick| low + tick as f64 * step).map(|share| (share, format!("{:.0}", 100.0 * share))).collect();
    let title = "Clean against robust accuracy";
    let label = "clean accuracy (%)";
    let across = Across { title, label, range: (low, 1.0), ticks, better: 1.0, slack: 0.0, counted: String::new(), say: text::percent };
    draw(view, norm, epsilon, &dots, &across)
}

/// Seconds of training against robust accuracy.
pub fn training_cost(view: &View, norm: Norm, epsilon: f64) -> Option<Picture> {
    let title = "What training costs";
    cost(view, norm, epsilon, |timing| timing.training_seconds, title, "seconds of training (logarithmic)", "")
}

/// Seconds of deciding on 1,000 images against robust accuracy.
pub fn inference_cost(view: &View, norm: Norm, epsilon: f64) -> Option<Picture> {
    let (title, label) = ("What deciding costs", "seconds for 1,000 images (logarithmic)");
    let exact = " They count all that a defence does; the operations of its networks alone, which are exact, stand in the report's table.";
    cost(view, norm, epsilon, |timing| timing.inference_seconds, title, label, exact)
}

/// What takes some seconds of the clock, against robust accuracy.
fn cost(
    view: &View,
    norm: Norm,
    epsilon: f64,
    of: fn(&DefenceTiming) -> Option<f64>,
    title: &'static str,
    label: &'static str,
    more: &str,
) -> Option<Picture> {
    let slack = Slack::of(view, &lines(view), of);
    let half = slack.factor.log10() / 2.0;
    let dots = dots(view, norm, epsilon, |line| {
        let log = line.mean_seconds(view, of).filter(|&seconds| seconds > 0.0)?.log10();
        Some((log, [log - half, log + half]))
    });
    let counted = format!("{}{more} ", slack.words());
    draw(view, norm, epsilon, &dots, &Across { slack: 2.0 * half, counted, ..seconds(&dots, title, label) })
}

fn dots<'a>(view: &View<'a>, norm: Norm, epsilon: f64, across: impl Fn(&Line<'a>) -> Option<(f64, [f64; 2])>) -> Vec<Dot<'a>> {
    let dot = |line: Line<'a>| {
        let (x, reach) = across(&line)?;
        let robust = line.worst(view, norm, epsilon)?;
        Some(Dot { name: line.name, refused: line.failed_checks(view) > 0, x, across: reach, robust })
    };
    // What attacks do not know is no rival on any front.
    lines(view).into_iter().filter(Line::is_adaptive).filter_map(dot).collect()
}

/// A logarithmic axis of seconds around the points.
fn seconds(dots: &[Dot], title: &'static str, label: &'static str) -> Across {
    let low = dots.iter().map(|dot| dot.across[0]).fold(f64::INFINITY, f64::min);
    let high = dots.iter().map(|dot| dot.across[1]).fold(f64::NEG_INFINITY, f64::max);
    // Ten times at least from end to end: what is a few per cent must not look like more.
    let margin = ((high - low) * 0.08).max((1.0 - (high - low)) / 2.0);
    let range = (low - margin, high + margin);
    let digits: &[f64] = if high - low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let mut ticks = Vec::new();
    if range.0.is_finite() && range.1.is_finite() {
        for power in range.0.floor() as i32..=range.1.ceil() as i32 {
            let here = digits.iter().map(|digit| digit * 10f64.powi(power)).filter(|value| (range.0..=range.1).contains(&value.log10()));
            ticks.extend(here.map(|value| (value.log10(), text::distance(value))));
        }
    }
    Across { title, label, range, ticks, better: -1.0, slack: 0.0, counted: String::new(), say: |log| span(10f64.powf(log)) }
}

fn draw(view: &View, norm: Norm, epsilon: f64, dots: &[Dot], across: &Across) -> Option<Picture> {
    if dots.len() < 2 {
        return None;
    }
    let title = format!("{} at epsilon {} ({})", across.title, text::distance(epsilon), text::norm(norm));
    let mut picture = Picture::new(title, WIDTH);
    let top = heading(&mut picture, view) + 6.0;
    let frame = Frame { corner: (74.0, top), size: (picture.width - 74.0 - 34.0, 340.0), x: across.range, y: (0.0, 1.0) };
    frame.axes(&mut picture, &across.ticks, &accuracy_ticks(), across.label, "robust accuracy, worst case (%)");
    for dot in dots {
        let [low, high] = reach(&dot.robust);
        let ((_, upper), (_, lower)) = (frame.place(dot.x, high), frame.place(dot.x, low));
        let (x, y) = frame.place(dot.x, dot.robust.mean);
        let (left, right) = (frame.place(dot.across[0], 0.0).0, frame.place(dot.across[1], 0.0).0);
        picture.line(vec![(x, upper), (x, lower)], WHISKER, 1.4);
        picture.line(vec![(left, y), (right, y)], WHISKER, 1.4);
    }
    let best = front(&dots.iter().map(|dot| (across.better * dot.x, dot.robust.mean)).collect::<Vec<_>>(), across.slack);
    let places: Vec<Point> = dots.iter().map(|dot| frame.place(dot.x, dot.robust.mean)).collect();
    let joined = stairs(&best.iter().map(|&at| places[at]).collect::<Vec<_>>());
    picture.curve(&joined, FRONT);
    let style = |at: usize| Style { dash: &[], width: 0.0, ..Style::nth(at, 0.0) };
    for (at, &place) in places.iter().enumerate() {
        picture.curve(&[place], style(at));
    }
    let names: Vec<&str> = dots.iter().map(|dot| dot.name).collect();
    let numbered = label(&mut picture, &frame, &names, &places, &best, &joined);
    let name = |at: usize| if numbered { format!("{} {}", at + 1, dots[at].words()) } else { dots[at].words() };
    let mut entries: Vec<(String, Swatch)> = vec![("Pareto front".to_owned(), Swatch::Line(FRONT))];
    entries.extend((0..dots.len()).map(|at| (name(at), Swatch::Line(style(at)))));
    picture.height = legend(&mut picture, top + frame.size.1 + 64.0, &entries) + 4.0;
    let whiskers = reaches(&lines(view));
    let remark = format!(
        "Whiskers of accuracy: {whiskers}. {}The front joins the defences that none other beats in both numbers; chance may have put one there.",
        across.counted
    );
    picture.height += picture.paragraph((16.0, picture.height + 10.0), &remark, Type::plain(12.0).colour(FAINT), WIDTH - 32.0) + 8.0;
    let on_front: Vec<&str> = best.iter().map(|&at| dots[at].name).collect();
    picture.description = format!("On the Pareto front: {}. ", on_front.join(", "));
    for dot in dots {
        picture.description.push_str(&format!("{}: {} and {} robust. ", dot.name, (across.say)(dot.x), text::percent(dot.robust.mean)));
    }
    Some(picture)
}

const WHISKER: [u8; 3] = [0xb4, 0xb4, 0xb4];

/// The front's points, joined by the edge of what they beat.
fn stairs(points: &[Point]) -> Vec<Point> {
    let mut path = Vec::new();
    for (at, &(x, y)) in points.iter().enumerate() {
        if at > 0 {
            path.push((x, points[at - 1].1));
        }
        path.push((x, y));
    }
    path
}
