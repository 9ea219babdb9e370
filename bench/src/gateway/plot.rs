//! Lines over a common x, with a logarithmic y.

use std::fmt::{Error, Write as _};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 44.0;

const HEAD: &str = r#"<style>
  :root { --ink: #1f2933; --soft: #616e7c; --grid: #e1e6eb; --paper: #ffffff; --wharf: #2f6fb3; --a: #c0632b; --b: #3f8f5b; --c: #8a56a8; --d: #8d99a5; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6ebf0; --soft: #9aa5b1; --grid: #2a333d; --paper: #12181f; --wharf: #6aa5e3; --a: #e39a6a; --b: #7cc596; --c: #c19adb; --d: #77828d; }
  }
  text { font: 12.5px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--ink); }
  .soft { fill: var(--soft); } .grid { stroke: var(--grid); }
  polyline { fill: none; stroke-width: 2; }
</style>
"#;

/// Who has which colour, in the order of the lines.
const COLOURS: [&str; 5] = [
    "var(--wharf)",
    "var(--a)",
    "var(--b)",
    "var(--c)",
    "var(--d)",
];

/// One line: its name, and y for each x.
pub(crate) type Line = (&'static str, Vec<f64>);

/// A plot.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    /// What stands below each x.
    pub(crate) ticks: Vec<String>,
    pub(crate) lines: Vec<Line>,
}

impl Plot<'_> {
    /// Draws it.
    pub(crate) fn draw(&self) -> Result<String, Error> {
        let values = || self.lines.iter().flat_map(|(_, ys)| ys.iter().copied());
        let (least, most) = values()
            .filter(|y| *y > 0.0)
            .fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), y| {
                (least.min(y), most.max(y))
            });
        let (low, high) = (least.log10().floor(), most.log10().ceil());
        let height = |y: f64| {
            let part = (y.max(least).log10() - low) / (high - low).max(1.0);
            HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
        };
        let mut image = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" role=\"img\">\n<title>{title}</title>\n{HEAD}\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"10\" fill=\"var(--paper)\"/>\n\
             <text class=\"soft\" x=\"20\" y=\"26\">{title}</text>\n",
            title = self.title
        );
        let mut decade = low;
        while decade <= high {
            let (y, value) = (height(10_f64.powf(decade).max(least)), 10_f64.powf(decade));
            writeln!(
                image,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0
            )?;
            decade += 1.0;
        }
        self.below(&mut image)?;
        self.curves(&mut image, height)?;
        Ok(image + "</svg>\n")
    }

    /// From the left.
    #[expect(clippy::cast_precision_loss, reason = "places on a page")]
    fn place(&self, nth: usize) -> f64 {
        let steps = self.ticks.len().saturating_sub(1).max(1);
        LEFT + nth as f64 / steps as f64 * (WIDTH - LEFT - RIGHT)
    }

    fn below(&self, image: &mut String) -> Result<(), Error> {
        let ticks = self.ticks.iter().enumerate();
        for (nth, tick) in ticks.filter(|(_, tick)| !tick.is_empty()) {
            writeln!(
                image,
                "<text class=\"soft\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
                self.place(nth),
                HEIGHT - BOTTOM + 20.0
            )?;
        }
        Ok(())
    }

    fn curves(&self, image: &mut String, height: impl Fn(f64) -> f64) -> Result<(), Error> {
        let mut name_at = TOP + 10.0;
        for ((name, ys), colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let mut points = String::new();
            for (nth, y) in ys.iter().enumerate().filter(|(_, y)| y.is_finite()) {
                write!(points, "{:.1},{:.1} ", self.place(nth), height(*y))?;
            }
            writeln!(
                image,
                "<polyline stroke=\"{colour}\" points=\"{points}\"/>\
                 <text x=\"{}\" y=\"{name_at}\" style=\"fill: {colour}\">{name}</text>",
                WIDTH - RIGHT + 16.0
            )?;
            name_at += 20.0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_as_much_is_a_line_of_the_grid_higher() {
        let plot = Plot {
            title: "a plot",
            ticks: vec!["0".into(), "1".into()],
            lines: vec![("one", vec![1.0, 100.0])],
        };
        let image = plot.draw().unwrap();
        assert!(image.contains("64.0,336.0 570.0,46.0"), "{image}");
        assert_eq!(image.matches("class=\"grid\"").count(), 3);
    }
}
