"""300 known ways to make a server call what it must not: URLs, and addresses that a name may have."""

from itertools import product

_LOOPBACK_FORMS = (
    *(
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0",
        "localhost",
        "localhost.localdomain",
    ),
    *(
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7f.1",
        "0177.0.0.1",
        "0177.0.0.01",
        "00000177.0.0.1",
    ),
    *("127.0.0.01", "127.00.0.1", "127.0.0.0x1", "0x7F000001", "127.0x0.0.1", "127.65535", "127.16777215"),
    *("[::1]", "[0:0:0:0:0:0:0:1]", "[0000::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"),
    *(
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[::ffff:0:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
    ),
    *(
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:7f00:0001::1]",
        "[2001:0:7f00:1::]",
        "[::1%25lo]",
        "[fe80::1%25eth0]",
    ),
    *("[fe80::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::5efe:127.0.0.1]", "[2606:4700::5efe:7f00:1]"),
    *("[2606:4700::200:5efe:7f00:1]",),
)
_METADATA_FORMS = (
    *("169.254.169.254", "169.254.170.2", "2852039166", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376"),
    *(
        "0251.254.169.254",
        "169.16689662",
        "169.254.43518",
        "0xA9FEA9FE",
        "025177524776",
        "425.510.425.510",
        "[::ffff:169.254.169.254]",
    ),
    *("[::ffff:a9fe:a9fe]", "[::169.254.169.254]", "[fd00:ec2::254]", "[fd20:ce::254]", "[64:ff9b::169.254.169.254]"),
    *(
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "[::ffff:100.100.100.200]",
    ),
    *(
        "[::ffff:168.63.129.16]",
        "metadata.google.internal.",
        "169.254.169.254.",
        "169。254。169。254",
        "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
    ),
)
_PRIVATE_FORMS = (
    *(
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.0.1",
        "192.168.1.254",
        "100.64.0.1",
        "198.18.0.1",
    ),
    *(
        "167772161",
        "0xa000001",
        "012.0.0.1",
        "10.1",
        "10.0.1",
        "0xc0a80001",
        "3232235521",
        "192.168.257",
        "[::ffff:10.0.0.1]",
    ),
    *(
        "[::ffff:a00:1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b::192.168.0.1]",
        "[2002:a00:1::]",
        "[fd00::1]",
        "[fc00::1]",
        "[::10.0.0.1]",
    ),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "[2001:db8::1]", "[100::1]", "[5f00::1]", "[4000::1]"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "0.0.0.1", "192.0.0.1", "192.88.99.1"),
)
_CLUSTER_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
_SCHEMES = (
    *(
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "gopher://127.0.0.1:6379/_INFO",
        "dict://127.0.0.1:11211/stat",
    ),
    *(
        "ftp://example.com/",
        "ldap://127.0.0.1/",
        "tftp://127.0.0.1/x",
        "jar:http://127.0.0.1!/",
        "netdoc:///etc/passwd",
    ),
    *(
        "data:text/plain,x",
        "javascript:alert(1)",
        "unix:///var/run/docker.sock",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    ),
    *(
        "//127.0.0.1/",
        "///127.0.0.1",
        "http:127.0.0.1",
        "http:/127.0.0.1",
        "http:///127.0.0.1",
        "http:\\\\127.0.0.1",
        "127.0.0.1",
    ),
    *(
        "HTTP:127.0.0.1",
        " http://127.0.0.1/",
        "\thttp://127.0.0.1/",
        "http://127.0.0.1\n.example.com/",
        "ws://127.0.0.1/",
        "smb://x/",
    ),
)
_PARSERS = (
    *(
        "http://public.example.com@127.0.0.1/",
        "http://127.0.0.1@public.example.com/",
        "http://a:b@127.0.0.1/",
        "http://@127.0.0.1/",
    ),
    *("http://public.example.com:80@127.0.0.1/", "http://127.0.0.1#@public.example.com/"),
    *(
        "http://127.0.0.1\\@public.example.com/",
        "http://public.example.com\\@127.0.0.1/",
        "http://127.0.0.1\\.public.example.com/",
    ),
    *(
        "http://public.example.com%40127.0.0.1/",
        "http://127.0.0.1%2fpublic.example.com/",
        "http://127.0.0.1%00.example.com/",
    ),
    *("http://127.0.0.1%23.example.com/", "http://127.0.0.1%20/", "http://127.0.0.1\u2025/", "http://127.0.0.1\u3002/"),
    *(
        "http://public.example.com\r\nHost: 127.0.0.1/",
        "http://public.example.com\thost/",
        "http://public.example.com /",
    ),
    *(
        "http://[::1]@public.example.com/",
        "http://[public.example.com]/",
        "http://[::1].example.com/",
        "http://[::1]:80:80/",
    ),
    *(
        "http://public.example.com:65536/",
        "http://public.example.com:-1/",
        "http://public.example.com:0/",
        "http://public.example.com:x/",
    ),
    *(
        "http://\u24db\u24de\u24d2\u24d0\u24db/",
        "http://loca\u217chost/",
        "http://public.example.com\u3002/",
        "http://exa\u00admple.com/",
    ),
    *(
        "http://xn--\u0130.com/",
        "http://public..example.com/",
        "http://.public.example.com/",
        "http://public.example.com./",
    ),
    *(
        "http://-public.example.com/",
        "http://public.example.com:22/",
        "http://public.example.com:25/",
        "http://public.example.com:6379/",
    ),
    *("http://public.example.com:9200/", "http://public.example.com:2375/", "http://public.example.com:10250/"),
)
_NAMES_WITH = (
    *(
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "::ffff:169.254.169.254",
    ),
    *(
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "10.0.0.1",
        "172.16.5.5",
    ),
    *(
        "192.168.7.7",
        "100.64.3.3",
        "198.18.0.9",
        "fc00::5",
        "fd12:3456::1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "2001:0:1::1",
    ),
    *(
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "ff02::1",
        "224.0.0.251",
        "255.255.255.255",
        "240.1.1.1",
    ),
    *(
        "203.0.113.5",
        "2001:db8::5",
        "::ffff:0:7f00:1",
        "fec0::9",
        "2606:4700::5efe:a00:1",
        "10.96.0.1",
        "10.96.0.10",
        "nonsense",
    ),
)
"""Addresses of a name that looks public: DNS of the attacker."""

PUBLIC = "public.example.com"


def _tricks() -> dict[str, list[str]]:
    """Each URL, with the addresses that its host's name has (none for an address)."""
    inside = {"localhost": ["127.0.0.1"], "localhost.localdomain": ["::1"]}
    found: dict[str, list[str]] = {}
    for scheme, host in product(("http", "https"), _LOOPBACK_FORMS + _METADATA_FORMS + _PRIVATE_FORMS):
        found[f"{scheme}://{host}/"] = inside.get(host, [])
    for host in _CLUSTER_NAMES:
        found[f"https://{host}/api/v1/secrets"] = ["10.96.0.1"]
    for url in _SCHEMES + _PARSERS:
        found[url] = ["93.184.215.14"]
    for number, address in enumerate(_NAMES_WITH):
        found[f"http://rebind-{number}.example.com/"] = [address]
        found[f"http://mixed-{number}.example.com/"] = ["93.184.215.14", address]
    return found


TRICKS = _tricks()
