//! Defences as points: clean against robust accuracy with the Pareto front, and what robustness costs.

use super::super::axes::{Frame, Swatch, WIDTH, accuracy_ticks, heading, legend};
use super::super::font;
use super::super::palette::{FAINT, INK, PAPER, Style};
use super::super::picture::{Anchor, Picture, Point, Type};
use super::super::text;
use super::super::view::View;
use super::{Line, front, lines, span};
use crate::evaluate::spread::Spread;
use crate::threat::Norm;

const LABEL: f64 = 12.5;
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

/// What a whisker reaches over: the 95 % interval; of two seeds, whose interval says next to nothing, their range.
fn reach(spread: &Spread) -> [f64; 2] {
    if spread.seeds == 2 { [spread.low, spread.high] } else { spread.ci95 }
}

/// What lies across.
struct Across {
    title: &'static str,
    label: &'static str,
    range: (f64, f64),
    ticks: Vec<(f64, String)>,
    /// 1 where more is better, -1 where less is.
    better: f64,
    say: fn(f64) -> String,
}

/// Clean against robust accuracy at an epsilon, and the defences that no other beats in both; `None` where fewer than two are there.
pub fn pareto(view: &View, norm: Norm, epsilon: f64) -> Option<Picture> {
    let dot = |line: &Line| line.clean(view).map(|clean| (clean.mean, reach(&clean)));
    let dots = dots(view, norm, epsilon, dot);
    let lowest = dots.iter().map(|dot| dot.x).fold(1.0, f64::min);
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
    let across = Across { title, label: "clean accuracy (%)", range: (low, 1.0), ticks, better: 1.0, say: text::percent };
    draw(view, norm, epsilon, &dots, &across)
}

/// Seconds of training against robust accuracy.
pub fn training_cost(view: &View, norm: Norm, epsilon: f64) -> Option<Picture> {
    let dots = dots(view, norm, epsilon, |line| {
        line.training_seconds(view).filter(|&seconds| seconds > 0.0).map(|seconds| (seconds.log10(), [seconds.log10(); 2]))
    });
    draw(view, norm, epsilon, &dots, &seconds(&dots, "What training costs", "seconds of training (logarithmic)"))
}

/// Seconds of deciding on 1,000 images against robust accuracy.
pub fn inference_cost(view: &View, norm: Norm, epsilon: f64) -> Option<Picture> {
    let dots = dots(view, norm, epsilon, |line| {
        line.inference_seconds(view).filter(|&seconds| seconds > 0.0).map(|seconds| (seconds.log10(), [seconds.log10(); 2]))
    });
    draw(view, norm, epsilon, &dots, &seconds(&dots, "What deciding costs", "seconds for 1,000 images (logarithmic)"))
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
    let low = dots.iter().map(|dot| dot.x).fold(f64::INFINITY, f64::min);
    let high = dots.iter().map(|dot| dot.x).fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.08).max(0.15);
    let range = (low - margin, high + margin);
    let digits: &[f64] = if high - low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let mut ticks = Vec::new();
    if range.0.is_finite() && range.1.is_finite() {
        for power in range.0.floor() as i32..=range.1.ceil() as i32 {
            let here = digits.iter().map(|digit| digit * 10f64.powi(power)).filter(|value| (range.0..=range.1).contains(&value.log10()));
            ticks.extend(here.map(|value| (value.log10(), text::distance(value))));
        }
    }
    Across { title, label, range, ticks, better: -1.0, say: |log| span(10f64.powf(log)) }
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
    let best = front(&dots.iter().map(|dot| (across.better * dot.x, dot.robust.mean)).collect::<Vec<_>>());
    let places: Vec<Point> = dots.iter().map(|dot| frame.place(dot.x, dot.robust.mean)).collect();
    let joined = stairs(&best.iter().map(|&at| places[at]).collect::<Vec<_>>());
    picture.curve(&joined, FRONT);
    let style = |at: usize| Style { dash: &[], width: 0.0, ..Style::nth(at, 0.0) };
    for (at, &place) in places.iter().enumerate() {
        picture.curve(&[place], style(at));
    }
    label(&mut picture, &frame, dots, &places, &best, &joined);
    let mut entries: Vec<(String, Swatch)> = vec![("Pareto front".to_owned(), Swatch::Line(FRONT))];
    entries.extend(dots.iter().enumerate().map(|(at, dot)| (dot.words(), Swatch::Line(style(at)))));
    picture.height = legend(&mut picture, top + frame.size.1 + 64.0, &entries) + 4.0;
    let remark = "Whiskers: 95 % intervals; of two seeds their range. The front joins the defences that none other beats in both numbers; chance may have put one there.";
    picture.height += picture.paragraph((16.0, picture.height + 10.0), remark, Type::plain(12.0).colour(FAINT), WIDTH - 32.0) + 8.0;
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

/// Names beside their points, where there is room for them; those of the front first. The legend has them all.
fn label(picture: &mut Picture, frame: &Frame, dots: &[Dot], places: &[Point], best: &[usize], joined: &[Point]) {
    let mut taken: Vec<[f64; 4]> = places.iter().map(|(x, y)| [x - 7.0, y - 7.0, x + 7.0, y + 7.0]).collect();
    // The front's steps are level or upright, so that each is a box.
    taken.extend(joined.windows(2).map(|ends| {
        let [(a, b), (c, d)] = [ends[0], ends[1]];
        [a.min(c) - 1.0, b.min(d) - 1.0, a.max(c) + 1.0, b.max(d) + 1.0]
    }));
    let others = (0..dots.len()).filter(|at| !best.contains(at));
    for at in best.iter().copied().chain(others.collect::<Vec<_>>()) {
        let (x, y) = places[at];
        let wide = font::width(dots[at].name, LABEL, false);
        let corners = [
            (x + 10.0, y + LABEL * 0.36),
            (x - 10.0 - wide, y + LABEL * 0.36),
            (x - wide / 2.0, y - 11.0),
            (x - wide / 2.0, y + 11.0 + LABEL * 0.75),
            (x + 8.0, y - 8.0),
            (x + 8.0, y + 8.0 + LABEL * 0.75),
            (x - 8.0 - wide, y - 8.0),
            (x - 8.0 - wide, y + 8.0 + LABEL * 0.75),
        ];
        let boxed = |(left, base): Point| [left - 2.0, base - LABEL * 0.8, left + wide + 2.0, base + LABEL * 0.25];
        let free = |corner: &&Point| {
            let [left, top, right, bottom] = boxed(**corner);
            let within = left >= frame.corner.0 && right <= frame.corner.0 + frame.size.0 && top >= frame.corner.1;
            let within = within && bottom <= frame.corner.1 + frame.size.1;
            within && taken.iter().all(|[l, t, r, b]| right <= *l || left >= *r || bottom <= *t || top >= *b)
        };
        let Some(&corner) = corners.iter().find(free) else { continue };
        let [left, top, right, bottom] = boxed(corner);
        picture.rectangle((left, top), right - left, bottom - top, PAPER, 0.75);
        picture.text(corner, dots[at].name, Type::plain(LABEL).anchor(Anchor::Start));
        taken.push(boxed(corner));
    }
}
