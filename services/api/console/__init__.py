"""
The web console: pages for citizens, auditors and operators, rendered on the server.

All pages can be read without JavaScript, and charts are drawn on the server.  With JavaScript the
live view is updated, and a statement is verified in the reader's browser by WebCrypto, independent
of this server.  There is no framework and no build step, so that auditors can read the served
files.
"""
