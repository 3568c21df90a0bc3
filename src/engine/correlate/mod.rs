//! Correlations: what is told of several events together.
mod decimal;
mod order;
mod ranked;
mod window;

pub use decimal::{Decimal, Quantity};
pub use window::{Findings, Occurrence, Occurs, Queue, Windows};

#[cfg(test)]
mod tests {
    use crate::sigma::{Correlation, CorrelationKind, LoadOptions, Member, load_str};

    /// A correlation of so many rules.
    pub(super) fn correlation(kind: CorrelationKind, members: usize) -> Correlation {
        let rule = "title: c\nlogsource: {product: windows}\n\
                    detection: {s: {a: b}, condition: s}\n";
        let rule = load_str("c.yml", rule, &LoadOptions::default()).rules.remove(0);
        Correlation {
            about: rule.about,
            kind,
            members: (0..members).map(Member::Rule).collect(),
            group_by: Vec::new(),
            timespan: None,
            timespan_text: None,
            range: Vec::new(),
            aliases: Vec::new(),
            generate: false,
            aggregation: false,
        }
    }
}
