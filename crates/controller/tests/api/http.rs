//! HTTP itself: what a client takes, methods, HEAD, what is not there, what cannot be read.

use serde_json::json;

use crate::support::Controller;

async fn refused(
    controller: &Controller,
    request: (&str, &str),
    headers: &[(&str, &str)],
) -> (u16, String, String) {
    let answer = controller.send(request.0, request.1, headers, b"").await;
    let (kind, message) = answer.error();
    (answer.status, kind, message)
}

#[tokio::test]
async fn who_does_not_take_json_is_told_so_before_anything_is_done() {
    let controller = Controller::start().await;
    let before = controller.revision();
    for path in ["/v2.0/networks", "/v2.0/", "/v2.0/extensions", "/v1/status", "/v2.0/networks/x/tags"] {
        for accept in ["application/xml", "text/html, image/*", "application/json;q=0, */*"] {
            let (status, kind, message) = refused(&controller, ("GET", path), &[("Accept", accept)]).await;
            assert_eq!((status, kind.as_str()), (406, "HTTPNotAcceptable"), "{path} {accept}");
            assert!(message.contains("Accept"), "{message}");
        }
    }
    let body = json!({ "network": {} }).to_string();
    let answer =
        controller.send("POST", "/v2.0/networks", &[("Accept", "application/xml")], body.as_bytes()).await;
    assert_eq!((answer.status, controller.revision()), (406, before));
    for accept in ["application/json", "*/*", "text/html,*/*;q=0.1", "application/*"] {
        assert_eq!(controller.send("GET", "/v2.0/networks", &[("Accept", accept)], b"").await.status, 200);
    }
    for path in ["/metrics", "/healthz", "/v1/snapshot"] {
        assert_eq!(
            controller.send("GET", path, &[("Accept", "text/plain")], b"").await.status,
            200,
            "{path}"
        );
    }
    let stream = [("Accept", "text/event-stream")];
    assert_eq!(refused(&controller, ("GET", "/v2.0/networks"), &stream).await.0, 406);
    for path in ["/v2.0/networks?watch=true", "/v2.0/networks/?watch=true", "/v1/watch"] {
        assert_eq!(controller.send("HEAD", path, &stream, b"").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let controller = Controller::start().await;
    let network = controller.network("blue").await;
    for path in [
        "/v2.0/networks",
        "/v2.0/networks?name=blue&fields=id",
        &format!("/v2.0/networks/{network}"),
        &format!("/v2.0/networks/{network}/tags"),
        "/v2.0/networks/nobody",
        "/v2.0/extensions",
        "/v1/history",
        "/healthz",
        "/nowhere",
    ] {
        let (get, head) = (controller.get(path).await, controller.send("HEAD", path, &[], b"").await);
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        let length = get.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_meant_is_answered_by_those_that_are() {
    let controller = Controller::start().await;
    let network = controller.network("blue").await;
    let one = format!("/v2.0/networks/{network}");
    let (tags, tag) = (format!("{one}/tags"), format!("{one}/tags/x"));
    for (method, path, allowed) in [
        ("DELETE", "/v2.0/networks", "GET, HEAD, POST"),
        ("POST", "/v2.0/hosts", "GET, HEAD"),
        ("PATCH", &one, "GET, HEAD, PUT, DELETE"),
        ("PUT", "/v2.0/hosts/host1", "GET, HEAD, DELETE"),
        ("PATCH", &tags, "GET, HEAD, POST, PUT, DELETE"),
        ("POST", &tag, "GET, HEAD, PUT, DELETE"),
        ("POST", "/v2.0/extensions", "GET, HEAD"),
        ("PUT", "/v2.0/extensions/sorting", "GET, HEAD"),
        ("DELETE", "/v2.0/", "GET, HEAD"),
        ("GET", "/v1/apply", "POST"),
        ("DELETE", "/v1/history", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("OPTIONS", "/v2.0/ports", "GET, HEAD, POST"),
    ] {
        let answer = controller.send(method, path, &[], b"").await;
        assert_eq!(answer.error().0, "HTTPMethodNotAllowed", "{method} {path}");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
    // What Neutron says of a PUT without an identifier.
    assert_eq!(refused(&controller, ("PUT", "/v2.0/networks"), &[]).await.0, 404);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_whatever_the_method() {
    let controller = Controller::start().await;
    for path in
        ["/v2.0", "/v2.0/nonsense", "/v2.0/nonsense/x", "/v2.0/networks/x/y", "/v2.0/networks/x/tags/y/z"]
    {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let (status, kind, _) = refused(&controller, (method, path), &[]).await;
            assert_eq!((status, kind.as_str()), (404, "HTTPNotFound"), "{method} {path}");
        }
    }
    assert_eq!(refused(&controller, ("POST", "/v1/nonsense"), &[]).await.0, 404);
}

#[tokio::test]
async fn an_extension_that_is_not_there_is_told_of_in_the_words_of_neutron() {
    let controller = Controller::start().await;
    let expected = (404, "HTTPNotFound".to_owned(), "Extension with alias foo does not exist".to_owned());
    assert_eq!(refused(&controller, ("GET", "/v2.0/extensions/foo"), &[]).await, expected);
    assert_eq!(refused(&controller, ("GET", "/v2.0/extensions/foo.json"), &[]).await, expected);
    assert_eq!(controller.get("/v2.0/extensions/sorting").await.json()["extension"]["alias"], "sorting");
    for path in ["/v2.0/extensions", "/v2.0/extensions.json", "/v2.0/extensions/"] {
        assert!(controller.get(path).await.json()["extensions"].as_array().unwrap().len() > 5, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_utf_8_is_refused_by_its_name() {
    let controller = Controller::start().await;
    for (path, named) in [
        ("/v2.0/networks?name=%ff", "name: "),
        ("/v2.0/networks?limit=1&description=a%c3%28", "description: "),
        ("/v2.0/networks?na%ffme=a", "name of a parameter"),
        ("/v2.0/networks/x?fields=%80", "fields: "),
        ("/v1/explain?host=%fe", "host: "),
        ("/v2.0/networks/%ff", "path"),
        ("/v2.0/networks/x/tags/%ff", "path"),
    ] {
        let (status, kind, message) = refused(&controller, ("GET", path), &[]).await;
        assert_eq!((status, kind.as_str()), (400, "HTTPBadRequest"), "{path}");
        assert!(message.contains(named) && message.contains("UTF-8"), "{path}: {message}");
    }
    for path in ["/v2.0/networks?name=%C3%A4+%zz", "/v2.0/networks?name=100%", "/v2.0/networks?"] {
        assert_eq!(controller.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_explanation_without_a_host_says_which_parameter_is_missing() {
    let controller = Controller::start().await;
    for path in ["/v1/explain", "/v1/explain?host=", "/v1/explain?object=vx"] {
        let (status, _, message) = refused(&controller, ("GET", path), &[]).await;
        assert!(status == 400 && message.contains("host"), "{path}: {status} {message}");
    }
    assert_eq!(refused(&controller, ("GET", "/v1/explain?host=nobody"), &[]).await.0, 404);
}

#[tokio::test]
async fn all_that_the_document_of_the_api_tells_of_is_there() {
    let controller = Controller::start().await;
    let document = controller.get("/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete"] {
            let is_told = item[method].is_object();
            let path = path.replace(['{', '}'], "");
            if is_told && !matches!(path.as_str(), "/v1/watch" | "/v1/snapshot") {
                let answer = controller.send(&method.to_uppercase(), &path, &[], b"{}").await;
                let message = if answer.status < 400 { String::new() } else { answer.error().1 };
                assert_ne!(answer.status, 405, "{method} {path}");
                assert_ne!(message, "The resource could not be found.", "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_http_is_answered_as_a_bad_request() {
    let controller = Controller::start().await;
    for request in [
        &b"GET /v2.0/networks?name=\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"GET /v2.0/networks/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2.0/networks HTTP/1.1\r\nno header\r\n\r\n",
        b"G\x01T /v2.0/networks HTTP/1.1\r\n\r\n",
    ] {
        let answer = controller.raw(request).await;
        assert_eq!(answer.status, 400, "{}: {answer:?}", String::from_utf8_lossy(request));
    }
    controller.network("ä").await;
    let request = "GET /v2.0/networks?name=ä HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let found = controller.raw(request.as_bytes()).await.json();
    assert_eq!(found["networks"].as_array().unwrap().len(), 1, "UTF-8 needs no escapes");
}

#[tokio::test]
async fn a_request_that_asks_for_what_is_there_changes_nothing() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    let port = controller.port(&network, "host1", "web").await;
    for (member, path) in
        [("network", format!("/v2.0/networks/{network}")), ("port", format!("/v2.0/ports/{port}"))]
    {
        let before = (controller.revision(), controller.get(&path).await.json());
        let name = before.1[member]["name"].clone();
        for request in [json!({}), json!({ "name": name, "admin_state_up": true, "tags": [] })] {
            let answer = controller.ask("PUT", &path, json!({ member: request })).await;
            assert_eq!((answer.status, &answer.json()), (200, &before.1), "{path}");
        }
        assert_eq!(controller.revision(), before.0, "{path}");
        let outdated = [("If-Match", "revision_number=99")];
        let body = json!({ member: {} }).to_string();
        assert_eq!(controller.send("PUT", &path, &outdated, body.as_bytes()).await.status, 412);
    }
    // What is kept in another row than the name counts for the port.
    let path = format!("/v2.0/ports/{port}");
    let body = json!({ "port": { "fixed_ips": [{ "ip_address": "10.1.0.77" }] } });
    assert_eq!(controller.ask("PUT", &path, body).await.json()["port"]["revision_number"], 2);
}

#[tokio::test]
async fn what_has_no_tags_says_so() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    for (method, path) in [
        ("PUT", "/v2.0/hosts/host1/tags"),
        ("GET", "/v2.0/hosts/host1/tags"),
        ("PUT", "/v2.0/hosts/host1/tags/x"),
    ] {
        let answer = controller.ask(method, path, json!({ "tags": ["x"] })).await;
        assert_eq!((answer.status, answer.error().1.contains("no tags")), (404, true), "{answer:?}");
    }
}
