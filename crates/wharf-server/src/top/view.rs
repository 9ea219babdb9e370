//! [`View`]: what of it is looked at, and what the keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What connections can be sorted by here: the query, and how it is called.
pub(super) const SORTS: [(&str, &str); 6] = [
    ("-age_ms", "age"),
    ("-idle_ms", "idle"),
    ("-requests", "requests"),
    ("-in_flight", "in flight"),
    ("-bytes_received", "received"),
    ("-bytes_sent", "sent"),
];

/// What is told without being asked for: not the coming and going of connections.
const NOTABLE: &str = "connection_timeout,connection_error,pool_limit_reached,would_reject,would_close,\
health_status_changed,config_changed,endpoint_state_changed,discovery_changed,config_reloaded,drain";

/// Which events are listened to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Events {
    /// Those that somebody should know of.
    #[default]
    Notable,
    /// Every connection that comes and goes, too.
    Every,
}

/// What is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) sort: &'static str,
    pub(super) events: Events,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            sort: SORTS[0].0,
            events: Events::default(),
        }
    }
}

impl Wanted {
    /// The path of the events.
    pub(super) fn events(self) -> String {
        match self.events {
            Events::Every => "/events?since=0".to_owned(),
            Events::Notable => format!("/events?since=0&type={NOTABLE}"),
        }
    }
}

/// A part of the screen that can be scrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    Pools,
    #[default]
    Connections,
    Events,
}

/// What of it is looked at.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) wanted: Wanted,
    pub(super) pane: Pane,
    /// The first line that is shown of each pane; drawing keeps it within what there is.
    pub(super) pools: usize,
    pub(super) connections: usize,
    pub(super) events: usize,
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Draw and wait.
    GoOn,
    /// Ask for something else.
    Ask(Wanted),
    /// The end.
    Leave,
}

impl View {
    /// Does what a key says.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a key that means nothing does nothing"
    )]
    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::GoOn;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Next::Leave,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Next::Leave;
            }
            KeyCode::Char('s') => return self.sort_by_next(),
            KeyCode::Char('e') => {
                self.wanted.events = match self.wanted.events {
                    Events::Notable => Events::Every,
                    Events::Every => Events::Notable,
                };
                return Next::Ask(self.wanted);
            }
            KeyCode::Tab => {
                self.pane = match self.pane {
                    Pane::Pools => Pane::Connections,
                    Pane::Connections => Pane::Events,
                    Pane::Events => Pane::Pools,
                }
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll(|at| at.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(|at| at.saturating_sub(1)),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll(|at| at.saturating_add(10)),
            KeyCode::PageUp => self.scroll(|at| at.saturating_sub(10)),
            KeyCode::Home | KeyCode::Char('g') => self.scroll(|_| 0),
            _ => {}
        }
        Next::GoOn
    }

    fn sort_by_next(&mut self) -> Next {
        let at = SORTS
            .iter()
            .position(|(query, _)| *query == self.wanted.sort);
        let next = at.map_or(0, |at| (at + 1) % SORTS.len());
        self.wanted.sort = SORTS[next].0;
        self.connections = 0;
        Next::Ask(self.wanted)
    }

    fn scroll(&mut self, by: impl Fn(usize) -> usize) {
        let at = match self.pane {
            Pane::Pools => &mut self.pools,
            Pane::Connections => &mut self.connections,
            Pane::Events => &mut self.events,
        };
        *at = by(*at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(view: &mut View, code: KeyCode) -> Next {
        view.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn q_escape_and_control_c_leave() {
        let mut view = View::default();
        assert_eq!(press(&mut view, KeyCode::Char('q')), Next::Leave);
        assert_eq!(press(&mut view, KeyCode::Esc), Next::Leave);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.key(interrupt), Next::Leave);
        assert_eq!(press(&mut view, KeyCode::Char('c')), Next::GoOn);
    }

    #[test]
    fn s_goes_through_every_order_and_comes_round() {
        let mut view = View::default();
        for (query, _) in SORTS.into_iter().skip(1).chain([SORTS[0]]) {
            let Next::Ask(wanted) = press(&mut view, KeyCode::Char('s')) else {
                panic!("no question")
            };
            assert_eq!(wanted.sort, query);
        }
    }

    #[test]
    fn keys_scroll_the_pane_that_is_chosen() {
        let mut view = View::default();
        press(&mut view, KeyCode::Up);
        press(&mut view, KeyCode::PageDown);
        press(&mut view, KeyCode::Tab);
        press(&mut view, KeyCode::Char('j'));
        assert_eq!((view.pools, view.connections, view.events), (0, 10, 1));
    }
}
