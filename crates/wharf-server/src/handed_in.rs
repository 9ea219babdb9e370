//! [`HandedIn`]: sockets that a service manager has opened for the process (`sd_listen_fds(3)`).

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::net::sockopt::socket_acceptconn;
use wharf_pool::ListenerName;

/// The sockets, each with the name of the listener that it is for.
#[derive(Debug, Default)]
pub(crate) struct HandedIn(Vec<(String, TcpListener)>);

/// Why the sockets cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HandedInError {
    /// The environment promises what is not there.
    #[error("LISTEN_FDS: the sockets that were handed in cannot be had")]
    Descriptors(#[source] io::Error),
    /// It is something else.
    #[error("the socket that was handed in as {name:?} is no listening TCP socket")]
    Kind {
        /// Its name.
        name: String,
    },
    /// It is open somewhere else.
    #[error("the socket that was handed in as {name:?} is on {there}, and the file says {written}")]
    Address {
        /// Its name.
        name: String,
        /// Where it is.
        there: SocketAddr,
        /// What is in the file.
        written: SocketAddr,
    },
    /// Clients would connect and never be served.
    #[error(
        "a socket was handed in as {name:?}, and no listener has that name, or it has one already"
    )]
    Nobody {
        /// Its name.
        name: String,
    },
}

impl HandedIn {
    /// Takes what the environment says is for this process.
    ///
    /// # Errors
    ///
    /// It is not there, or no socket that newcomers can be accepted from.
    pub(crate) fn to_this_process() -> Result<Self, HandedInError> {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        if variable("LISTEN_PID") != std::process::id().to_string() {
            return Ok(Self::default());
        }
        let count = variable("LISTEN_FDS").parse().unwrap_or(0);
        let sockets = wharf_sys::inherited(count).map_err(HandedInError::Descriptors)?;
        let names = variable("LISTEN_FDNAMES");
        let names = names.split(':').chain(std::iter::repeat(""));
        let checked = sockets.into_iter().zip(names).map(|(socket, name)| {
            // As systemd calls one that has no name.
            let name = if name.is_empty() { "unknown" } else { name };
            let name = name.to_owned();
            let socket = TcpListener::from(socket);
            let accepts = socket_acceptconn(&socket).unwrap_or(false);
            if accepts && socket.local_addr().is_ok() {
                Ok((name, socket))
            } else {
                Err(HandedInError::Kind { name })
            }
        });
        checked.collect::<Result<_, _>>().map(Self)
    }

    /// Takes the socket of that listener off the list, if there is one.
    ///
    /// # Errors
    ///
    /// It is not where the file says.
    pub(crate) fn take(
        &mut self,
        name: &ListenerName,
        written: SocketAddr,
    ) -> Result<Option<TcpListener>, HandedInError> {
        let at = self.0.iter().position(|(it, _)| *it == name.to_string());
        let Some((name, socket)) = at.map(|at| self.0.swap_remove(at)) else {
            return Ok(None);
        };
        match socket.local_addr() {
            Ok(there) if there == written => Ok(Some(socket)),
            Ok(there) => Err(HandedInError::Address {
                name,
                there,
                written,
            }),
            Err(_) => Err(HandedInError::Kind { name }),
        }
    }

    /// When all listeners have had theirs.
    ///
    /// # Errors
    ///
    /// A socket is left that nobody serves.
    pub(crate) fn all_taken(mut self) -> Result<(), HandedInError> {
        match self.0.pop() {
            Some((name, _)) => Err(HandedInError::Nobody { name }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_in(name: &str) -> (HandedIn, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (HandedIn(vec![(name.to_owned(), socket)]), address)
    }

    #[test]
    fn a_socket_is_for_the_listener_of_its_name_once() {
        let (mut sockets, address) = handed_in("web");
        let web = "web".parse().unwrap();
        assert!(matches!(
            sockets.take(&"other".parse().unwrap(), address),
            Ok(None)
        ));
        assert!(matches!(sockets.take(&web, address), Ok(Some(_))));
        assert!(matches!(sockets.take(&web, address), Ok(None)));
        assert!(sockets.all_taken().is_ok());
    }

    #[test]
    fn a_socket_on_another_address_is_refused() {
        let (mut sockets, address) = handed_in("web");
        let elsewhere = SocketAddr::from(([127, 0, 0, 2], address.port()));
        let refused = sockets.take(&"web".parse().unwrap(), elsewhere);
        assert!(matches!(refused, Err(HandedInError::Address { .. })));
    }

    #[test]
    fn a_socket_for_nobody_is_refused() {
        let (sockets, _) = handed_in("wob");
        assert!(
            matches!(sockets.all_taken(), Err(HandedInError::Nobody { name }) if name == "wob")
        );
    }
}
