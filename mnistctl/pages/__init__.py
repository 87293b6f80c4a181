"""Nets in a web page: a net as a description that the page's own JavaScript computes, and the page itself."""
