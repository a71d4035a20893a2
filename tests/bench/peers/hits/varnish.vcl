# Varnish: a request id made or kept, timeouts to the origin, an hour where the origin says nothing. X-Forwarded-For it
# appends by itself.
vcl 4.1;
import std;
backend origin {
    .host = "127.0.0.1";
    .port = "__ORIGIN__";
    .connect_timeout = 1s;
    .first_byte_timeout = 30s;
    .between_bytes_timeout = 30s;
}
sub vcl_recv {
    if (!req.http.X-Request-ID) {
        set req.http.X-Request-ID = req.xid;
    }
    set req.http.X-Forwarded-Proto = "http";
    set req.http.X-Forwarded-Host = req.http.Host;
}
sub vcl_backend_response {
    set beresp.ttl = 1h;
}
sub vcl_deliver {
    set resp.http.X-Request-ID = req.http.X-Request-ID;
    if (obj.hits > 0) {
        set resp.http.Cache-Status = "varnish; hit";
    } else {
        set resp.http.Cache-Status = "varnish; fwd=miss; stored";
    }
}
