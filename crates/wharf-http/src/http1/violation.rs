//! [`Violation`]: why bytes are not a request that we take.

/// The first rule that the received bytes break; its connection ends after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// More CRLF before a request line than RFC 9112 2.2 asks a server to bear.
    TooManyBlankLines,
    /// The method is not a token (RFC 9112 3.1): TLS, another protocol, or rubbish.
    MethodInvalid,
    /// The method is longer than any that exists (RFC 9112 3: answer 501).
    MethodTooLong,
    /// CONNECT: we are not a forward proxy (RFC 9110 9.3.6).
    MethodConnect,
    /// A byte in the target that must be percent-encoded, or a fragment (RFC 9112 3.2).
    TargetInvalid,
    /// Neither `/path`, nor `http://host/path`, nor `*` with OPTIONS (RFC 9112 3.2.1 to 3.2.4).
    TargetForm,
    /// The target is longer than `max_target` (RFC 9112 3: answer 414).
    TargetTooLong,
    /// Not `method SP target SP version CRLF` (RFC 9112 3).
    RequestLineInvalid,
    /// A version other than HTTP/1.0 and HTTP/1.1 (RFC 9110 15.6.6).
    VersionUnsupported,
    /// LF without CR (RFC 9112 2.2 lets a recipient take it; smuggling lives from it).
    BareLf,
    /// CR without LF (RFC 9112 2.2).
    BareCr,
    /// NUL or another control character (RFC 9110 5.5).
    ControlCharacter,
    /// A line that begins with a space or tab: folding, or space after the request line (RFC 9112
    /// 2.2, 5.2).
    LineFolded,
    /// A field name that is empty, not a token, or not directly followed by a colon (RFC 9112 5.1).
    FieldNameInvalid,
    /// A field name over the longest that hyper can hold without trouble.
    FieldNameTooLong,
    /// More fields than `max_headers` (RFC 6585 5).
    TooManyFields,
    /// The head is larger than `max_header_size` (RFC 6585 5).
    HeadTooLarge,
    /// HTTP/1.1 without Host (RFC 9112 3.2).
    HostMissing,
    /// More than one Host (RFC 9112 3.2).
    HostRepeated,
    /// Host is not `host[:port]` (RFC 9112 3.2, RFC 3986 3.2), or is empty for a path.
    HostInvalid,
    /// Host names another authority than the absolute target (RFC 9112 3.2.2).
    HostMismatch,
    /// Content-Length is not 1 to 19 digits (RFC 9110 8.6).
    ContentLengthInvalid,
    /// More than one Content-Length, even with the same value (RFC 9112 6.3 lets us refuse).
    ContentLengthRepeated,
    /// Transfer-Encoding is anything but `chunked` (RFC 9112 6.1, 6.3).
    TransferEncodingInvalid,
    /// More than one Transfer-Encoding (RFC 9112 6.1).
    TransferEncodingRepeated,
    /// Transfer-Encoding on HTTP/1.0 (RFC 9112 6.1).
    TransferEncodingOnHttp10,
    /// Content-Length and Transfer-Encoding together (RFC 9112 6.1, 6.3).
    LengthAndEncoding,
    /// The body is larger than `max_body_size` (RFC 9110 15.5.14).
    BodyTooLarge,
    /// A chunk size is not 1 to 16 hexadecimal digits before CRLF or an extension (RFC 9112 7.1).
    ChunkSizeInvalid,
    /// The chunk extensions of one body are too long together (RFC 9112 7.1.1).
    ChunkExtensionsTooLong,
    /// A chunk's data is not followed by CRLF (RFC 9112 7.1).
    ChunkEndInvalid,
    /// A trailer that would change framing or routing (RFC 9110 6.5.1).
    TrailerForbidden,
    /// More trailers than `max_headers`.
    TooManyTrailers,
    /// The trailers are larger than 16 KiB or `max_header_size`.
    TrailersTooLarge,
}

impl Violation {
    /// The status of the answer.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::MethodConnect => 405,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::FieldNameTooLong | Self::TooManyFields | Self::HeadTooLarge => 431,
            Self::MethodTooLong => 501,
            Self::VersionUnsupported => 505,
            Self::TooManyBlankLines
            | Self::MethodInvalid
            | Self::TargetInvalid
            | Self::TargetForm
            | Self::RequestLineInvalid
            | Self::BareLf
            | Self::BareCr
            | Self::ControlCharacter
            | Self::LineFolded
            | Self::FieldNameInvalid
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostInvalid
            | Self::HostMismatch
            | Self::ContentLengthInvalid
            | Self::ContentLengthRepeated
            | Self::TransferEncodingInvalid
            | Self::TransferEncodingRepeated
            | Self::TransferEncodingOnHttp10
            | Self::LengthAndEncoding
            | Self::ChunkSizeInvalid
            | Self::ChunkExtensionsTooLong
            | Self::ChunkEndInvalid
            | Self::TrailerForbidden
            | Self::TooManyTrailers
            | Self::TrailersTooLarge => 400,
        }
    }

    /// One sentence for the body of the answer and the log.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::TooManyBlankLines => "too many blank lines before the request line",
            Self::MethodInvalid => "the method is not a token",
            Self::MethodTooLong => "the method is not implemented",
            Self::MethodConnect => "CONNECT is not allowed here",
            Self::TargetInvalid => "the request target has a byte that must be percent-encoded",
            Self::TargetForm => "the request target is neither a path nor an http url",
            Self::TargetTooLong => "the request target is too long",
            Self::RequestLineInvalid => "the request line is not method, target and version",
            Self::VersionUnsupported => "the version is neither HTTP/1.0 nor HTTP/1.1",
            Self::BareLf => "a line ends in LF without CR",
            Self::BareCr => "CR is not followed by LF",
            Self::ControlCharacter => "a line contains a control character",
            Self::LineFolded => "a header line begins with white space",
            Self::FieldNameInvalid => "a header name is not a token followed by a colon",
            Self::FieldNameTooLong => "a header name is too long",
            Self::TooManyFields => "too many headers",
            Self::HeadTooLarge => "the request head is too large",
            Self::HostMissing => "the Host header is missing",
            Self::HostRepeated => "there is more than one Host header",
            Self::HostInvalid => "the Host header is not a host with an optional port",
            Self::HostMismatch => "the Host header and the request target name different hosts",
            Self::ContentLengthInvalid => "Content-Length is not a number",
            Self::ContentLengthRepeated => "there is more than one Content-Length header",
            Self::TransferEncodingInvalid => "Transfer-Encoding is not chunked",
            Self::TransferEncodingRepeated => "there is more than one Transfer-Encoding header",
            Self::TransferEncodingOnHttp10 => "HTTP/1.0 has no Transfer-Encoding",
            Self::LengthAndEncoding => "there are both Content-Length and Transfer-Encoding",
            Self::BodyTooLarge => "the request body is too large",
            Self::ChunkSizeInvalid => "a chunk size is not a hexadecimal number",
            Self::ChunkExtensionsTooLong => "the chunk extensions are too long",
            Self::ChunkEndInvalid => "the data of a chunk does not end where its size says",
            Self::TrailerForbidden => "a trailer may not change framing or routing",
            Self::TooManyTrailers => "too many trailers",
            Self::TrailersTooLarge => "the trailers are too large",
        }
    }
}
