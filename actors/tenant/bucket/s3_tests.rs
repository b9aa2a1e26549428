//! Listings of a server that speaks S3, with keys the library does not read.
use super::*;
use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A server with objects of these keys; it notes the sizes of the pages it was asked for.
struct Server {
    port: u16,
    keys: Arc<BTreeSet<String>>,
    pages: Arc<Mutex<Vec<usize>>>,
}

impl Server {
    async fn start(keys: impl IntoIterator<Item = String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, keys: Arc::new(keys.into_iter().collect()), pages: Arc::default() };
        let (keys, pages) = (Arc::clone(&server.keys), Arc::clone(&server.pages));
        actix::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                actix::spawn(serve(socket, Arc::clone(&keys), Arc::clone(&pages)));
            }
        });
        server
    }

    async fn listed(&self, prefix: &str) -> Result<(Vec<String>, Vec<String>), BucketError> {
        let access = S3Access {
            bucket: "tenant-default".into(),
            region: Region::named("eu-west-1").unwrap(),
            endpoint: Some(Url::parse(&format!("http://127.0.0.1:{}", self.port)).unwrap()),
            access_key_id: "of the tests".into(),
            secret_access_key: "secret".to_owned().into(),
            session_token: None,
            timeout: Duration::from_secs(60),
        };
        let Listing { objects, unreadable } = open(&access, InTransit::Tls13).unwrap().list(prefix).await?;
        Ok((objects.into_iter().map(|object| object.key).collect(), unreadable))
    }
}

async fn serve(socket: TcpStream, keys: Arc<BTreeSet<String>>, pages: Arc<Mutex<Vec<usize>>>) {
    let (reading, mut writing) = socket.into_split();
    let mut lines = BufReader::new(reading).lines();
    while let Ok(Some(first)) = lines.next_line().await {
        while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
        let url = Url::parse("http://server").unwrap().join(first.split(' ').nth(1).unwrap()).unwrap();
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let body = page(&asked, &keys);
        pages.lock().unwrap().push(asked["max-keys"].parse().unwrap());
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n", body.len());
        if writing.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One page as S3 writes it: a token goes on behind the last key of the page before, and wins over `start-after`.
fn page(asked: &HashMap<String, String>, keys: &BTreeSet<String>) -> String {
    let (nothing, size) = (String::new(), asked["max-keys"].parse::<usize>().unwrap());
    let after = asked.get("continuation-token").or(asked.get("start-after")).unwrap_or(&nothing);
    let prefix = asked.get("prefix").unwrap_or(&nothing);
    let mut rest = keys.iter().filter(|key| *key > after && key.starts_with(prefix));
    let shown: Vec<&String> = rest.by_ref().take(size).collect();
    let object = |key: &&String| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-11-26T12:00:00.000Z</LastModified><ETag>&quot;1&quot;</ETag>\
             <Size>5</Size></Contents>"
        )
    };
    let contents: String = shown.iter().map(object).collect();
    let more = rest.next().and(shown.last());
    let token = more.map(|last| format!("<NextContinuationToken>{last}</NextContinuationToken>")).unwrap_or_default();
    format!("<ListBucketResult><IsTruncated>{}</IsTruncated>{contents}{token}</ListBucketResult>", more.is_some())
}

fn numbered(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("corpus/{number:05}.txt"))
}

#[actix::test]
async fn a_sound_listing_is_read_in_whole_pages() {
    let server = Server::start(numbered(0..2_500).chain(["corpusx".into(), "other/x".into()])).await;
    let (keys, unreadable) = server.listed("corpus").await.unwrap();
    assert_eq!((keys, unreadable), (numbered(0..2_500).collect(), vec![]));
    assert_eq!(*server.pages.lock().unwrap(), [1_000; 3]);
}

#[actix::test]
async fn objects_whose_keys_are_not_read_are_left_out_and_told_and_no_other_is() {
    let odd = [
        "corpus//first",
        "corpus/00700.txt/../x",
        "corpus/01999.txt//",
        "corpus/a//b",
        "corpus/a//c",
        "corpus/z//last",
    ];
    let sound: Vec<String> = numbered(0..2_500).chain(["corpus/a/b".into()]).collect();
    let server = Server::start(sound.iter().cloned().chain(odd.map(str::to_owned))).await;
    let (keys, mut unreadable) = server.listed("corpus").await.unwrap();
    unreadable.sort();
    assert_eq!(keys, sound, "each once, in order");
    assert_eq!(unreadable, odd);
    let asked = server.pages.lock().unwrap().len();
    assert!(asked <= 3 + 40 * odd.len(), "{asked} pages");
}

#[actix::test]
async fn more_of_them_than_are_left_out_refuse_the_listing_and_say_one() {
    let odd = (0..=UNREADABLE_MAX).map(|number| format!("corpus//{number:02}"));
    let refused = Server::start(odd).await.listed("").await.unwrap_err();
    assert!(refused.to_string().contains("more than 16") && refused.to_string().contains("corpus//16"), "{refused}");
}
