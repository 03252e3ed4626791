"""How bytes get to a server and back: HTTP/1.1, direct, through a proxy, over a connection opened before."""
