"""RFC 7889, APPENDLIMIT: the size is told before the bytes are sent."""

import unittest

from box import Box
from sample import message
from strict import Strict


class AppendLimit(unittest.TestCase):
    def test_all_of_it(self):
        with Box("appendlimit", message_size="1M") as box, Strict(box, login="anna") as c:
            names = c.data("CAPABILITY", b"CAPABILITY")[0]
            self.assertEqual([n for n in names if n.startswith(b"APPENDLIMIT")], [b"APPENDLIMIT=1048576"])  # 2 (a)
            self.assertEqual(c.status("INBOX", "APPENDLIMIT"), {b"APPENDLIMIT": 1048576})  # 3.1
            self.assertEqual(c.status("INBOX", "MESSAGES", "appendlimit"), {b"MESSAGES": 0, b"APPENDLIMIT": 1048576})
            listed = c.data('LIST "" % RETURN (STATUS (APPENDLIMIT))')  # 3.2
            limits = [v[1] for k, v in listed if k == b"STATUS"]
            self.assertEqual(len(limits), len([v for k, v in listed if k == b"LIST"]))
            self.assertEqual(limits, [{b"APPENDLIMIT": 1048576}] * len(limits))
            text = message(1, size=1048576)
            text = text[:1048576] if len(text) >= 1048576 else text + b"x" * (1048576 - len(text))
            self.assertEqual(len(text), 1048576)
            c.append_uid("INBOX", text)
            self.assertEqual(c.tagged("APPEND INBOX {1048577}")[:2], (b"NO", b"TOOBIG"))  # 4
            self.assertEqual(c.status("INBOX", "MESSAGES")[b"MESSAGES"], 1)


if __name__ == "__main__":
    unittest.main()
