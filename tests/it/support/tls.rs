//! A TLS front for a plain server.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use native_tls::{HandshakeError, Identity, TlsAcceptor, TlsStream};
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509, X509Builder, X509NameBuilder, extension},
};
use spread_aggregator::stop::Stop;

/// A certificate authority and what it has signed for one server.
pub(crate) struct Certificates {
    /// The authority's certificate, in PEM form.
    pub(crate) authority: Vec<u8>,
    identity: Identity,
}

impl Certificates {
    /// Signs for a server called `name`.
    pub(crate) fn for_server(name: &str) -> Self {
        let authority_key = key();
        let mut builder = builder("an authority of tests", &authority_key);
        builder.append_extension(extension::BasicConstraints::new().ca().build().unwrap()).unwrap();
        builder.sign(&authority_key, MessageDigest::sha256()).unwrap();
        let authority = builder.build();
        let server_key = key();
        let mut builder = self::builder(name, &server_key);
        builder.set_issuer_name(authority.subject_name()).unwrap();
        let mut names = extension::SubjectAlternativeName::new();
        let names = names.dns(name).build(&builder.x509v3_context(Some(&authority), None)).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&authority_key, MessageDigest::sha256()).unwrap();
        let (cert, key) =
            (builder.build().to_pem().unwrap(), server_key.private_key_to_pem_pkcs8().unwrap());
        Self {
            authority: authority.to_pem().unwrap(),
            identity: Identity::from_pkcs8(&cert, &key).unwrap(),
        }
    }
}

fn key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn builder(name: &str, key: &PKey<Private>) -> X509Builder {
    let mut names = X509NameBuilder::new().unwrap();
    names.append_entry_by_text("CN", name).unwrap();
    let names = names.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(fastrand::u32(1..)).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&names).unwrap();
    builder.set_issuer_name(&names).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder
}

/// Passes everything between TLS clients of `listener` and `behind`, until `stop`.
pub(crate) fn serve(
    listener: &TcpListener,
    certificates: &Certificates,
    behind: SocketAddr,
    stop: &Stop,
) {
    let acceptor = TlsAcceptor::new(certificates.identity.clone()).unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::scope(|scope| {
        while !stop.wait(Duration::from_millis(5)) {
            if let Ok((client, _)) = listener.accept() {
                let acceptor = &acceptor;
                // A client that will not have us is a case of the tests.
                scope.spawn(move || pass(client, acceptor, behind, stop).ok());
            }
        }
    });
}

fn pass(
    client: TcpStream,
    acceptor: &TlsAcceptor,
    behind: SocketAddr,
    stop: &Stop,
) -> io::Result<()> {
    const TURN: Duration = Duration::from_millis(1);
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(TURN))?;
    let mut client = handshake(client, acceptor, stop)?;
    let mut server = TcpStream::connect(behind)?;
    server.set_read_timeout(Some(TURN))?;
    let mut buf = vec![0; 64 << 10];
    while !stop.requested() {
        if turn(&mut client, &mut server, &mut buf)? || turn(&mut server, &mut client, &mut buf)? {
            break;
        }
    }
    Ok(())
}

fn handshake(
    client: TcpStream,
    acceptor: &TlsAcceptor,
    stop: &Stop,
) -> io::Result<TlsStream<TcpStream>> {
    let mut handshake = acceptor.accept(client);
    loop {
        match handshake {
            Ok(stream) => return Ok(stream),
            Err(HandshakeError::WouldBlock(rest)) if !stop.requested() => {
                handshake = rest.handshake();
            }
            Err(err) => return Err(io::Error::other(err.to_string())),
        }
    }
}

/// Passes on what there is; says whether that was the end.
fn turn(from: &mut impl Read, to: &mut impl Write, buf: &mut [u8]) -> io::Result<bool> {
    match from.read(buf) {
        Ok(0) => Ok(true),
        Ok(n) => to.write_all(&buf[..n]).map(|()| false),
        Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Ok(false)
        }
        Err(err) => Err(err),
    }
}
