"""Answers every request with what a WSGI application sees of it, as JSON."""

import json

from serve import serve


def app(environ, start_response):
    length = int(environ.get('CONTENT_LENGTH') or 0)
    if length:
        environ['wsgi.input'].read(length)
    seen = {k: v for k, v in environ.items() if isinstance(v, str) and k != 'SERVER_SOFTWARE'}
    body = json.dumps(seen).encode()
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])
    return [body if environ['REQUEST_METHOD'] != 'HEAD' else b'']


serve(app)
