//! The chart: one group of bars for each load, one bar for each server.

use std::fmt::{Error, Write as _};

const WIDTH: usize = 760;
/// Where bars begin.
const LEFT: usize = 130;
/// How long the longest bar of a group is.
const LONGEST: f64 = 520.0;
const BAR: usize = 20;
const GROUP: usize = 44;

const HEAD: &str = r#"<title>Processor time of a request</title>
<style>
  :root { --ink: #1f2933; --soft: #616e7c; --bar: #b8c2cc; --wharf: #2f6fb3; --paper: #ffffff; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6ebf0; --soft: #9aa5b1; --bar: #4a5866; --wharf: #6aa5e3; --paper: #12181f; }
  }
  text { font: 12.5px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--ink); }
  .load { font-weight: 600; font-size: 13.5px; }
  .name { text-anchor: end; }
  .cost { fill: var(--soft); }
  .bar { fill: var(--bar); } .wharf { fill: var(--wharf); }
</style>
"#;

/// A load, and what a request costs each server under it, in microseconds.
pub(crate) type Group<'a> = (&'a str, Vec<(&'a str, f64)>);

/// Draws it. Each group has a scale of its own: loads are not to be compared with each other.
pub(crate) fn draw(groups: &[Group<'_>]) -> Result<String, Error> {
    let rows: usize = groups
        .iter()
        .map(|(_, bars)| bars.len() * BAR + GROUP)
        .sum();
    let height = rows + GROUP;
    let mut image = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n{HEAD}\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"10\" fill=\"var(--paper)\"/>\n\
         <text class=\"cost\" x=\"20\" y=\"28\">The server's processor time for each request, µs. Shorter is better; each \
         group has its own scale.</text>\n"
    );
    let mut y = GROUP;
    for (load, bars) in groups {
        image.push_str(&group(load, bars, y)?);
        y += bars.len() * BAR + GROUP;
    }
    Ok(image + "</svg>\n")
}

fn group(load: &str, bars: &[(&str, f64)], mut y: usize) -> Result<String, Error> {
    let longest = bars
        .iter()
        .map(|(_, cost)| *cost)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut text = String::new();
    writeln!(
        text,
        r#"<text class="load" x="20" y="{}">{load}</text>"#,
        y + 20
    )?;
    y += 30;
    for (name, cost) in bars {
        let length = cost / longest * LONGEST;
        let class = if *name == "wharf" { "bar wharf" } else { "bar" };
        let (line, top, end) = (y + 13, y + 2, length + 8.0);
        #[expect(clippy::cast_precision_loss, reason = "a place on a page")]
        let end = end + LEFT as f64;
        writeln!(
            text,
            r#"<text class="name" x="{}" y="{line}">{name}</text>
<rect class="{class}" x="{LEFT}" y="{top}" width="{length:.1}" height="{}" rx="2"/>
<text class="cost" x="{end:.1}" y="{line}">{cost:.2}</text>"#,
            LEFT - 10,
            BAR - 5
        )?;
        y += BAR;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_who_costs_most() {
        let image = draw(&[("a load", vec![("one", 5.0), ("wharf", 10.0)])]).unwrap();
        assert!(image.contains(r#"width="260.0""#), "{image}");
        assert!(
            image.contains(r#"class="bar wharf" x="130" y="96" width="520.0""#),
            "{image}"
        );
    }
}
