"""Users, raters and monitors: who talks with the assistant, and who judges its replies."""
