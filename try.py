import asyncio, sys, tempfile, httpx, threading, time, json, statistics
from pathlib import Path
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from chaos.wire.breakpoints import Breakpoints
from chaos.wire.control import *
from chaos.wire.http_line import HttpLine
from chaos.wire.writing import WireJournal
from chaos.process.ports import Port
class H(BaseHTTPRequestHandler):
    protocol_version="HTTP/1.1"
    def log_message(self,*a): pass
    def do_POST(self):
        b=self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200); self.send_header("X-Foo","Bar"); self.send_header("Content-Length",str(len(b))); self.end_headers(); self.wfile.write(b)
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length","2"); self.end_headers(); self.wfile.write(b"ok")
    def do_HEAD(self):
        self.send_response(200); self.send_header("Content-Length","2"); self.end_headers()
srv=ThreadingHTTPServer(("127.0.0.1",0),H); threading.Thread(target=srv.serve_forever,daemon=True).start()
async def main():
    p=Port(); d=Path(tempfile.mkdtemp())
    j=WireJournal(d,"worker-1>pay",print)
    bp=Breakpoints(lambda e: print("EVENT",e))
    line=HttpLine(LineSpec(name="worker-1>pay",port=p.number,protocol="http",upstream=Upstream(address=f"127.0.0.1:{srv.server_port}")),bp,j,lambda:())
    await line.start()
    async with httpx.AsyncClient() as c:
        for base in (f"http://127.0.0.1:{srv.server_port}",f"http://127.0.0.1:{p.number}"):
            print((await c.get(base+"/x?y=1")).text, (await c.head(base+"/a1/b")).headers)
            r=await c.post(base+"/x",content=b"a"*50_000_000); print(len(r.content))
            ts=[]
            for _ in range(200):
                t=time.perf_counter(); await c.get(base+"/"); ts.append(time.perf_counter()-t)
            print("median",statistics.median(ts)*1000)
    await line.stop()
    print((d/"worker-1-to-pay.jsonl").read_text()[:1500])
asyncio.run(main())
