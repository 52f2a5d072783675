-- The archive reads whatever dashboards may read: classes that come later, too.
GRANT tonne_grafana TO tonne_archive;
