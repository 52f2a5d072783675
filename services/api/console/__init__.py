"""
The console: pages for citizens, auditors and operators, made on the server.

Everything can be read without JavaScript.  Charts are drawn on the server.  With it, the
live view follows the devices, and a statement is checked in the reader's own browser
by WebCrypto, without trusting this server.  There is no framework and no build step:
what is served is what stands here, so that anyone who audits the check reads the same files.
"""
