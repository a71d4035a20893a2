# Varnish under a stampede: what has expired still answers for so long, and is fetched meanwhile; 10 s is its default.
vcl 4.1;
backend origin {
    .host = "127.0.0.1";
    .port = "__ORIGIN__";
    .connect_timeout = 1s;
    .first_byte_timeout = 30s;
}
sub vcl_backend_response {
    set beresp.grace = __GRACE__;
}
