//! The limit of requests, as `/pools` and `/health` show it.

use serde_json::{Map, Value, json};
use wharf_http::admission::{Admission, AdmissionMode, Class};

use super::pools::millis;

/// The limit, who is under it, and who was turned away.
pub(super) fn shown(admission: &Admission) -> Value {
    let report = admission.report();
    let of = |class: Class| {
        let refused = report.refused.iter().filter(|(of, ..)| *of == class);
        refused.map(|(.., count)| count).sum::<u64>()
    };
    let shed: Map<_, _> = Class::ALL
        .into_iter()
        .map(|class| (class.as_str().to_owned(), json!(of(class))))
        .collect();
    let dry_run: Map<_, _> = report
        .dry_run
        .iter()
        .map(|(class, count)| (class.as_str().to_owned(), json!(count)))
        .collect();
    let on = report.mode != AdmissionMode::Off;
    json!({
        "mode": mode(report.mode),
        "limit": on.then_some(report.limit),
        "in_flight": report.in_flight,
        "waiting": report.waiting,
        "shed_by_class": shed,
        "dry_run_by_class": dry_run,
        "lag_ms": millis(report.lag),
        "verdict": report.verdict,
    })
}

fn mode(mode: AdmissionMode) -> &'static str {
    match mode {
        AdmissionMode::DryRun => "dry_run",
        AdmissionMode::On => "on",
        AdmissionMode::Off | _ => "off",
    }
}
