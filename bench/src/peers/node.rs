//! Node.js, if it is installed: its own servers, one process.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::Peer;
use super::version::told;
use crate::protocol::Protocol;
use crate::site::Site;

pub(super) struct Node;

impl Peer for Node {
    fn name(&self) -> &'static str {
        "Node.js"
    }

    fn speaks(&self, _: Protocol) -> bool {
        true
    }

    fn program(&self) -> OsString {
        "node".into()
    }

    fn version(&self) -> Option<String> {
        told("node", "--version")
    }

    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command> {
        let create = match protocol {
            Protocol::Http1 => "require('http').createServer({}, answer)",
            Protocol::Https => "require('https').createServer(tls, answer)",
            Protocol::Http2 => "require('http2').createServer({}, answer)",
            Protocol::Http2Tls => "require('http2').createSecureServer(tls, answer)",
        };
        let text = format!(
            r"
const {{ readFileSync }} = require('fs');
const tls = {{ cert: readFileSync('server.crt'), key: readFileSync('server.key') }};
const body = Buffer.from('Hello, World!');
function answer(request, response) {{
    const status = request.url === '/hello' ? 200 : 404;
    response.writeHead(status, {{ 'content-type': 'text/plain', 'content-length': body.length }});
    response.end(body);
}}
const server = {create};
server.keepAliveTimeout = 3600e3;
server.headersTimeout = 3600e3;
server.listen({{ host: '{host}', port: {port}, backlog: 4096 }});
",
            host = at.ip(),
            port = at.port()
        );
        let mut command = Command::new("node");
        command.current_dir(site.folder());
        command.arg(site.write("node.js", &text)?);
        Ok(command)
    }
}
