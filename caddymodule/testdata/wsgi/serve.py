"""Serves a WSGI application the way the stack serves its own, by cheroot, on a
port of its choice, which it prints, until standard input is closed."""

import os
import sys
import threading

from cheroot import wsgi


def mounted(app):
    """What the stack's services do with X-Script-Name (xivo.http_helpers)."""

    def wrapped(environ, start_response):
        name = environ.get('HTTP_X_SCRIPT_NAME', '')
        if name:
            environ['SCRIPT_NAME'] = name
            if environ['PATH_INFO'].startswith(name):
                environ['PATH_INFO'] = environ['PATH_INFO'][len(name):]
        return app(environ, start_response)

    return wrapped


def serve(app):
    server = wsgi.Server(('127.0.0.1', 0), mounted(app), numthreads=8)
    server.prepare()
    print(server.bind_addr[1], flush=True)

    def wait():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
    server.serve()
