//! [`Asker`]: one question to the servers of names, by UDP, and by TCP where the answer is too large for it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wharf_control::Random;

use super::message::{Data, Edns, Kind, LARGEST, Message, question, read};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it is the only one that is asked.
const ALONE: Duration = Duration::from_millis(500);

/// How often each is asked: datagrams get lost.
const ROUNDS: usize = 2;

/// The longest chain of aliases that is followed.
const ALIASES: usize = 8;

/// What was answered.
#[derive(Debug)]
pub(super) struct Answered {
    /// Nothing, if the name has nothing of that kind.
    pub(super) data: Vec<Data>,
    /// How long it is good for.
    pub(super) ttl: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Nobody is there to be asked.
    #[error("there is no server of names")]
    NoServer,
    /// The name is none.
    #[error("it cannot be a name")]
    BadName,
    /// The server has said nothing in time.
    #[error("{0} does not answer")]
    Silent(SocketAddr),
    /// The server cannot say.
    #[error("{0} answers with code {1}")]
    Refused(SocketAddr, u8),
    /// It could not be asked.
    #[error("{0} cannot be asked: {1}")]
    Io(SocketAddr, io::Error),
}

/// Who asks.
pub(super) struct Asker<'a> {
    servers: &'a [SocketAddr],
    /// The place of the one that answered last: it is asked first.
    first: usize,
    random: Random,
}

/// Codes of answers: "no such domain", which is one, and two by which servers say that they know no EDNS.
const NO_SUCH_NAME: u8 = 3;
const MALFORMED: u8 = 1;
const NOT_IMPLEMENTED: u8 = 4;

impl<'a> Asker<'a> {
    pub(super) const fn new(servers: &'a [SocketAddr], random: Random) -> Self {
        Self {
            servers,
            first: 0,
            random,
        }
    }

    /// Asks the server that answered last, then the others too, each a moment after the one before, until one answers.
    pub(super) async fn ask(&mut self, name: &str, kind: Kind) -> Result<Answered, AskError> {
        let (of, first) = (self.servers.len(), self.first);
        let mut turns = (0..ROUNDS * of).map(|nth| (first + nth) % of);
        let mut asked = JoinSet::new();
        let mut last = AskError::NoServer;
        loop {
            let turn = turns.next();
            if let Some(place) = turn {
                let question = Question::new(name, kind, &mut self.random)?;
                let server = self.servers[place];
                asked.spawn(async move { (place, question.to(server).await) });
            }
            let ended = match turn {
                Some(_) => timeout(ALONE, asked.join_next()).await.ok(),
                None => Some(asked.join_next().await),
            };
            match ended {
                Some(Some(Ok((place, Ok(message))))) => {
                    self.first = place;
                    return Ok(found(&message, kind));
                }
                Some(Some(Ok((_, Err(error))))) => last = error,
                // All have been asked, and none is awaited any more.
                Some(None) if turn.is_none() => return Err(last),
                // It takes its time, and another is asked beside it.
                Some(None | Some(Err(_))) | None => {}
            }
        }
    }
}

/// One question in its two forms.
struct Question {
    id: u16,
    full: Vec<u8>,
    plain: Vec<u8>,
}

impl Question {
    fn new(name: &str, kind: Kind, random: &mut Random) -> Result<Self, AskError> {
        // Nobody beside the path can guess it, nor the port that the kernel chooses.
        let id = random.next_u64().to_be_bytes();
        let id = u16::from_be_bytes([id[0], id[1]]);
        let bytes = |edns| question(id, name, kind, edns).ok_or(AskError::BadName);
        Ok(Self {
            id,
            full: bytes(Edns::Said)?,
            plain: bytes(Edns::Left)?,
        })
    }

    /// Asks one server; its answer, if it is one.
    async fn to(&self, server: SocketAddr) -> Result<Message, AskError> {
        let asked = async {
            let message = exchange(server, self.id, &self.full).await?;
            if matches!(message.code, MALFORMED | NOT_IMPLEMENTED) {
                return exchange(server, self.id, &self.plain).await;
            }
            Ok(message)
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(message)) if matches!(message.code, 0 | NO_SUCH_NAME) => Ok(message),
            Ok(Ok(message)) => Err(AskError::Refused(server, message.code)),
            Ok(Err(error)) => Err(AskError::Io(server, error)),
            Err(_) => Err(AskError::Silent(server)),
        }
    }
}

async fn exchange(server: SocketAddr, id: u16, asked: &[u8]) -> io::Result<Message> {
    let message = by_udp(server, id, asked).await?;
    if message.truncated {
        return by_tcp(server, id, asked).await;
    }
    Ok(message)
}

async fn by_udp(server: SocketAddr, id: u16, asked: &[u8]) -> io::Result<Message> {
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    // From here on only datagrams of that server come.
    socket.connect(server).await?;
    socket.send(asked).await?;
    let mut bytes = [0; LARGEST as usize];
    loop {
        let length = socket.recv(&mut bytes).await?;
        // What answers something else is somebody's guess, or late.
        if let Some(message) = read(&bytes[..length]).filter(|it| is_to(it, id, asked)) {
            return Ok(message);
        }
    }
}

async fn by_tcp(server: SocketAddr, id: u16, asked: &[u8]) -> io::Result<Message> {
    let mut socket = TcpStream::connect(server).await?;
    let length = u16::try_from(asked.len()).map_err(io::Error::other)?;
    socket
        .write_all(&[&length.to_be_bytes(), asked].concat())
        .await?;
    let mut bytes = vec![0; usize::from(socket.read_u16().await?)];
    socket.read_exact(&mut bytes).await?;
    let message = read(&bytes).filter(|it| is_to(it, id, asked) && !it.truncated);
    message.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Whether a message answers that very question.
fn is_to(message: &Message, id: u16, asked: &[u8]) -> bool {
    // A question reads as an answer does, but for one bit.
    let mut mine = asked.to_vec();
    if let Some(flags) = mine.get_mut(2) {
        *flags |= 0x80;
    }
    let mine = read(&mine).map(|it| it.question);
    message.id == id && mine.as_ref() == Some(&message.question)
}

/// What of an answer is asked for, behind aliases too.
fn found(message: &Message, kind: Kind) -> Answered {
    let mut names = vec![message.question.0.clone()];
    let mut ttl = u32::MAX;
    for _ in 0..ALIASES {
        let before = names.len();
        for record in &message.answers {
            if let Data::Cname(alias) = &record.data
                && names.contains(&record.name)
                && !names.contains(alias)
                && names.len() <= ALIASES
            {
                names.push(alias.clone());
                ttl = ttl.min(record.ttl);
            }
        }
        if names.len() == before {
            break;
        }
    }
    let wanted = |data: &Data| match (data, kind) {
        (Data::Address(ip), Kind::A) => ip.is_ipv4(),
        (Data::Address(ip), Kind::Aaaa) => ip.is_ipv6(),
        (Data::Srv { .. }, Kind::Srv) => true,
        (Data::Address(_) | Data::Cname(_) | Data::Srv { .. }, _) => false,
    };
    let records = message.answers.iter();
    let records = records.filter(|it| names.contains(&it.name) && wanted(&it.data));
    let data = records.map(|record| {
        ttl = ttl.min(record.ttl);
        record.data.clone()
    });
    let data: Vec<_> = data.collect();
    Answered {
        data,
        ttl: Duration::from_secs(ttl.into()),
    }
}
