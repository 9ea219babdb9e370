//! [`Table`]: rows, as Markdown, each printed as soon as it is known.

/// Rows, as Markdown. The first column is text, the others are numbers.
pub(crate) struct Table(());

impl Table {
    /// Prints the head.
    pub(crate) fn begin(head: &[&str]) -> Self {
        let table = Self(());
        table.row(head);
        println!("|---|{}", "---:|".repeat(head.len() - 1));
        table
    }

    /// Prints a row.
    #[expect(clippy::unused_self, reason = "rows come after a head")]
    pub(crate) fn row(&self, cells: &[impl AsRef<str>]) {
        let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
        println!("| {} |", cells.join(" | "));
    }
}
