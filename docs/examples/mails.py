#!/usr/bin/env python3
"""A mail server for trying things out: prints each mail that it gets, and delivers none. Needs aiosmtpd.

python docs/examples/mails.py 8025
"""

import sys
import threading
from email import message_from_bytes
from email.policy import default

from aiosmtpd.controller import Controller


class Printer:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=default)
        print(f"To: {mail['To']}\nSubject: {mail['Subject']}\n\n{mail.get_body(('plain',)).get_content()}", flush=True)
        return "250 printed"


Controller(Printer(), hostname="127.0.0.1", port=int(sys.argv[1])).start()
print("ready", flush=True)
threading.Event().wait()
