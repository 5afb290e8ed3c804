//! Certificates made for a test.

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509, X509Builder, X509NameBuilder, extension},
};
use spread_aggregator::{feed::now, simulator::Certificate};

/// A certificate authority and what it has signed for one server.
pub(crate) struct Certificates {
    /// The authority's certificate, in PEM form.
    pub(crate) authority: Vec<u8>,
    pub(crate) server: Certificate,
}

impl Certificates {
    /// Signs for a server called `name`.
    pub(crate) fn for_server(name: &str) -> Self {
        let authority = Authority::new();
        Self { authority: authority.pem(), server: authority.sign(name, 0, 1) }
    }
}

/// Who signs certificates.
pub(crate) struct Authority {
    key: PKey<Private>,
    certificate: X509,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = key();
        let mut builder = builder("an authority of tests", &key, (0, 1));
        builder.append_extension(extension::BasicConstraints::new().ca().build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { key, certificate: builder.build() }
    }

    /// Its certificate, in PEM form.
    pub(crate) fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    /// Signs for a server called `name`, from so many days from now until so many.
    pub(crate) fn sign(&self, name: &str, from: i64, until: i64) -> Certificate {
        let server_key = key();
        let mut builder = builder(name, &server_key, (from, until));
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        let mut names = extension::SubjectAlternativeName::new();
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let names = names.dns(name).build(&context).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        certificate(&builder.build(), &server_key)
    }

    /// What a server called `name` says of itself.
    pub(crate) fn self_signed(name: &str) -> Certificate {
        let key = key();
        let mut builder = builder(name, &key, (0, 1));
        let mut names = extension::SubjectAlternativeName::new();
        let names = names.dns(name).build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        certificate(&builder.build(), &key)
    }
}

fn certificate(chain: &X509, key: &PKey<Private>) -> Certificate {
    Certificate { chain: chain.to_pem().unwrap(), key: key.private_key_to_pem_pkcs8().unwrap() }
}

fn key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn builder(name: &str, key: &PKey<Private>, (from, until): (i64, i64)) -> X509Builder {
    let day = |it: i64| Asn1Time::from_unix(now().0 / 1_000_000_000 + it * 86_400).unwrap();
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
    builder.set_not_before(&day(from)).unwrap();
    builder.set_not_after(&day(until)).unwrap();
    builder
}
