//! Certificates made for a test.

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509, X509Builder, X509NameBuilder, extension},
};
use spread_aggregator::simulator::Certificate;

/// A certificate authority and what it has signed for one server.
pub(crate) struct Certificates {
    /// The authority's certificate, in PEM form.
    pub(crate) authority: Vec<u8>,
    pub(crate) server: Certificate,
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
        Self {
            authority: authority.to_pem().unwrap(),
            server: Certificate {
                chain: builder.build().to_pem().unwrap(),
                key: server_key.private_key_to_pem_pkcs8().unwrap(),
            },
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
