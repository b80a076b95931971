"""/jobs/"""

from django.urls import path

from jobs import views

app_name = "jobs"
urlpatterns = [
    path("", views.job_list, name="list"),
    path("new/", views.create, name="create"),
    # /jobs/<id>/
    path("<uuid:job_id>/", views.detail, name="detail"),
    path("<uuid:job_id>/result/", views.result, name="result"),
    path("<uuid:job_id>/interims/", views.interims, name="interims"),
    path("<uuid:job_id>/files/", views.files, name="files"),
    path("<uuid:job_id>/files/<path:name>", views.file_download, name="file"),
    path("<uuid:job_id>/log/", views.log, name="log"),
    path("<uuid:job_id>/log/stream", views.log_stream, name="log_stream"),
    path("<uuid:job_id>/log/download", views.log_download, name="log_download"),
    path("<uuid:job_id>/input/", views.job_input, name="input"),
    path("<uuid:job_id>/cancel/", views.cancel, name="cancel"),
    path("<uuid:job_id>/delete/", views.delete, name="delete"),
    path("<uuid:job_id>/attempts/<int:number>/", views.attempt, name="attempt"),
    path("<uuid:job_id>/attempts/<int:number>/log/stream", views.attempt_stream, name="attempt_stream"),
    path("<uuid:job_id>/attempts/<int:number>/log/download", views.attempt_download, name="attempt_download"),
]
