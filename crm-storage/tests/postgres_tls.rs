//! The PostgreSQL store over TLS that the host brings.
#![cfg(feature = "postgres")]

mod postgres_server;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use crm_core::TenantId;
use crm_storage::{Commit, CustomerWrite, Expected, PostgresOptions, PostgresStore, StateRow, Store};
use postgres_server::{Server, block_on, connect, give_to_server};
use rustls::pki_types::CertificateDer;
use tokio_postgres_rustls::MakeRustlsConnect;

fn trusting(certificate: &CertificateDer<'static>) -> MakeRustlsConnect {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the protocols")
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

/// An address of this machine and a port that nobody listens at. Where all of 127/8 is this machine, as on Linux, it is
/// this process's own, so that nobody takes the port before the server does.
fn free() -> (Ipv4Addr, u16) {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, high | 0x80, middle, low.clamp(1, 254));
    let at = |address| TcpListener::bind((address, 0)).and_then(|listener| listener.local_addr());
    let found = at(own).map(|found| (own, found.port()));
    found.or_else(|_| at(Ipv4Addr::LOCALHOST).map(|found| (Ipv4Addr::LOCALHOST, found.port()))).expect("a port")
}

#[test]
fn a_store_connects_over_tls_and_only_to_whom_it_trusts() {
    if std::env::var_os("CRM_TEST_POSTGRES_URL").is_some() {
        return;
    }
    let own = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder for the certificate");
    let folder = folder.path();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, own.cert.pem()).expect("it is written");
    std::fs::write(&key, own.signing_key.serialize_pem()).expect("it is written");
    give_to_server(&[folder, &certificate, &key]);
    let (address, port) = free();
    let settings = [
        format!("listen_addresses={address}"),
        format!("port={port}"),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificate.display()),
        format!("ssl_key_file={}", key.display()),
    ];
    let server = Server::start(&settings.each_ref().map(String::as_str));
    let url = format!("postgresql://postgres@localhost:{port}/postgres?hostaddr={address}&sslmode=require");
    if server.is_some() {
        block_on(async {
            let options = PostgresOptions::default().lanes(4);
            let tls = trusting(own.cert.der());
            let planned = PostgresStore::plan_with_tls(&url, &options, tls.clone()).await.expect("a plan over TLS");
            assert_eq!(planned.first().map(|step| step.name.as_str()), Some("history"));
            assert!(PostgresStore::plan(&url, &options).await.is_err(), "no TLS where it is required");
            let store = PostgresStore::connect_with_tls(&url, &options, tls).await.expect("the server is trusted");
            let id = crm_core::CustomerId::new(crm_core::Timestamp::MIN, [1; 10]);
            let write = CustomerWrite::new(id, Expected::New, StateRow { shape: 1, bytes: vec![1] });
            let commit = Commit { writes: vec![write], ..Commit::default() };
            assert!(store.commit(&TenantId::default(), vec![commit]).await.expect("it commits")[0].is_ok());
            let plain = connect(&url.replace("require", "disable")).await;
            let text = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'crm'";
            let encrypted: bool = plain.query_one(text, &[]).await.expect("the connections").get(0);
            assert!(encrypted);
            let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
            let refused = PostgresStore::connect_with_tls(&url, &options, trusting(other.cert.der())).await;
            assert!(refused.is_err(), "another certificate");
            assert!(PostgresStore::connect(&url, &options).await.is_err(), "no TLS where it is required");
        });
    }
}
