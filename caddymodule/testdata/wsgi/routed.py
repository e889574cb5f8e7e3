"""Routes requests by the rules on its command line with werkzeug, and tells
which rule a request was routed to and which access its endpoint would ask
for, spelled as the stack does: every value's "." is "_"
(xivo.auth_verifier)."""

import json
import sys

from serve import serve
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

rules = json.loads(sys.argv[1])
routes = Map([Rule(r['rule'], endpoint=i, methods=[r['method']]) for i, r in enumerate(rules)])


def app(environ, start_response):
    length = int(environ.get('CONTENT_LENGTH') or 0)
    if length:
        environ['wsgi.input'].read(length)
    answer = {}
    try:
        endpoint, values = routes.bind_to_environ(environ).match()
        status = '200 OK'
        answer['rule'] = '{method} {rule}'.format(**rules[endpoint])
        answer['needs'] = rules[endpoint]['needs'].format(**{k: str(v).replace('.', '_') for k, v in values.items()})
    except HTTPException as e:
        status = '{} {}'.format(e.code, e.name)
    # In a header: HEAD has no body. ASCII, whatever is in the path.
    told = json.dumps(answer)
    start_response(status, [('Content-Type', 'application/json'), ('Content-Length', '0'), ('X-Routed', told)])
    return [b'']


serve(app)
