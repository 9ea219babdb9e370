//! What the meter is checked against: itself with other cuts, and a reader that keeps everything.
//!
//! Used by the tests and, through `#[path]`, by `fuzz/`.

use std::collections::HashMap;

use wharf_control::Timestamp;

use super::meter::{Http2Abuse, Limits, Meter, Opening, Owed, Standing, Tally};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What both sides have sent, in order.
pub(crate) type Script = Vec<(Side, Vec<u8>)>;

/// What a script comes to, however it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) result: Result<(), Http2Abuse>,
    pub(crate) standing: Standing,
    pub(crate) tally: Tally,
    pub(crate) opening: Option<Opening>,
    pub(crate) owed: Option<Owed>,
}

/// Plays a script, each speech in pieces of `step` bytes. The facts after each speech.
pub(crate) fn play(limits: &Limits, script: &Script, step: usize) -> Vec<Facts> {
    let now = Timestamp::ZERO;
    let mut meter = Meter::new(limits, now);
    let mut facts = Vec::new();
    let mut result = Ok(());
    for (side, bytes) in script {
        for piece in bytes.chunks(step.max(1)) {
            match side {
                Side::Client => result = meter.received(piece, now),
                Side::Server => meter.sent(piece, now),
            }
        }
        facts.push(Facts {
            result,
            standing: meter.standing(),
            tally: meter.tally(),
            opening: meter.opening().map(|(what, _)| what),
            owed: meter.owed().map(|(what, _)| what),
        });
    }
    facts
}

/// Compares the facts with those of a reader that keeps all bytes, as long as nothing is refused.
///
/// # Panics
///
/// Where they differ.
pub(crate) fn check(script: &Script, facts: &[Facts]) {
    let (mut client, mut server) = (Vec::new(), Vec::new());
    let mut model = Model::default();
    let mut read = [0, 0];
    for ((side, bytes), facts) in script.iter().zip(facts) {
        if matches!(facts.standing, Standing::Abusive(_)) {
            return;
        }
        match side {
            Side::Client => client.extend_from_slice(bytes),
            Side::Server => server.extend_from_slice(bytes),
        }
        let preface = client.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let (from_client, client_rest) = if preface {
            frames(&client[24..])
        } else {
            (Vec::new(), &[][..])
        };
        let (from_server, server_rest) = frames(&server);
        for frame in &from_client[read[0]..] {
            model.received(frame);
        }
        for frame in &from_server[read[1]..] {
            model.sent(frame);
        }
        read = [from_client.len(), from_server.len()];
        compare(&model, facts, client_rest, server_rest);
        assert_eq!(facts.opening == Some(Opening::Preface), !preface);
    }
}

fn compare(model: &Model, facts: &Facts, client_rest: &[u8], server_rest: &[u8]) {
    assert_eq!(facts.tally.opened, model.opened);
    assert_eq!(facts.tally.last_stream, model.last);
    assert_eq!(facts.tally.open as usize, model.open.len());
    assert_eq!(facts.tally.pings, model.pings);
    let received = model.data_received + part_of_data(client_rest);
    assert_eq!(facts.tally.data_received, received);
    assert_eq!(
        facts.tally.data_sent,
        model.data_sent + part_of_data(server_rest)
    );
    let owed = match (client_rest.get(3), client_rest.len()) {
        _ if model.block.is_some() => Some(Owed::HeaderBlock),
        (_, 0) => None,
        (Some(1 | 9), 9..) => Some(Owed::HeaderBlock),
        (Some(0), 9..) => Some(Owed::Data),
        _ => Some(Owed::Frame),
    };
    assert_eq!(facts.owed, owed);
}

/// Nine bytes and what they announce.
struct Whole<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

/// The whole frames at the front of `bytes`, and what is behind them.
fn frames(mut bytes: &[u8]) -> (Vec<Whole<'_>>, &[u8]) {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, s, t, u, v, rest @ ..] = bytes {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push(Whole {
            kind: *kind,
            flags: *flags,
            stream: u32::from_be_bytes([s & 0x7f, *t, *u, *v]),
            payload,
        });
        bytes = rest;
    }
    (frames, bytes)
}

fn content<'a>(frame: &Whole<'a>) -> &'a [u8] {
    match (frame.flags & 8, frame.payload) {
        (8, [padding, content @ ..]) => {
            let end = content.len().saturating_sub(usize::from(*padding));
            &content[..end]
        }
        (_, payload) => payload,
    }
}

/// Content of a DATA frame whose end has not come.
fn part_of_data(rest: &[u8]) -> u64 {
    let [a, b, c, 0, flags, _, _, _, _, payload @ ..] = rest else {
        return 0;
    };
    let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
    match (flags & 8, payload) {
        (8, []) => 0,
        (8, [padding, come @ ..]) => {
            let content = (length - 1).saturating_sub(usize::from(*padding));
            come.len().min(content) as u64
        }
        (_, come) => come.len() as u64,
    }
}

#[derive(Default)]
struct Model {
    opened: u64,
    last: u32,
    /// Whether the peer has ended it, whether we have.
    open: HashMap<u32, [bool; 2]>,
    data_received: u64,
    data_sent: u64,
    pings: u64,
    block: Option<(u32, bool)>,
}

impl Model {
    fn received(&mut self, frame: &Whole<'_>) {
        match frame.kind {
            0 => {
                self.data_received += content(frame).len() as u64;
                if frame.flags & 1 != 0 {
                    self.end(frame.stream, 0);
                }
            }
            1 => {
                self.block = Some((frame.stream, frame.flags & 1 != 0));
                self.end_block(frame.flags);
            }
            9 => self.end_block(frame.flags),
            3 => {
                self.open.remove(&frame.stream);
            }
            6 if frame.flags & 1 == 0 => self.pings += 1,
            _ => {}
        }
    }

    fn end_block(&mut self, flags: u8) {
        if flags & 4 == 0 {
            return;
        }
        let Some((stream, ends)) = self.block.take() else {
            return;
        };
        if stream % 2 == 1 && stream > self.last {
            self.last = stream;
            self.opened += 1;
            self.open.insert(stream, [false; 2]);
        }
        if ends {
            self.end(stream, 0);
        }
    }

    fn sent(&mut self, frame: &Whole<'_>) {
        let ends = frame.flags & 1 != 0;
        match frame.kind {
            0 => self.data_sent += content(frame).len() as u64,
            3 => {
                self.open.remove(&frame.stream);
            }
            _ => {}
        }
        if ends && frame.kind <= 1 {
            self.end(frame.stream, 1);
        }
    }

    fn end(&mut self, stream: u32, side: usize) {
        if let Some(ended) = self.open.get_mut(&stream) {
            ended[side] = true;
            if *ended == [true; 2] {
                self.open.remove(&stream);
            }
        }
    }
}

/// Any cut of both directions gives the same, and a reader that keeps all bytes finds the same. The first
/// byte says into what pieces the rest is cut. Then, again and again: who speaks (the highest bit), how
/// many bytes (the other 15), and these.
///
/// # Panics
///
/// If it is not so.
pub(crate) fn holds(data: &[u8]) {
    let Some((&cut, mut rest)) = data.split_first() else {
        return;
    };
    let mut script = Script::new();
    while let [high, low, after @ ..] = rest {
        let side = if high & 0x80 == 0 {
            Side::Client
        } else {
            Side::Server
        };
        let length = usize::from(u16::from_be_bytes([high & 0x7f, *low]));
        let (speech, after) = after.split_at(length.min(after.len()));
        script.push((side, speech.to_vec()));
        rest = after;
    }
    let limits = Limits::default();
    let whole = play(&limits, &script, usize::MAX);
    assert_eq!(whole, play(&limits, &script, usize::from(cut) + 2));
    assert_eq!(whole, play(&limits, &script, 1));
    check(&script, &whole);
}
